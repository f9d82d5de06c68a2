import { monthOf } from "../tenants/month.ts";
import type { OpenPartition } from "./queue-partition.ts";
import type { TenantHomes } from "./tenant-homes.ts";
import { unfinishedTasks } from "./tenant-tasks.ts";

/** What a rebalance did. */
export interface RebalanceResult {
  /** Tenants that moved. */
  moved: number;
  /** Tenants that have unfinished tasks where they are: try again later. */
  waiting: number;
}

const DAY_MS = 24 * 3_600_000;

/**
 * Moves the tenants that live elsewhere than their hash says and have nothing unfinished there.
 *
 * In this order, so that no tenant is admitted in two partitions at any time: the old one is closed to the
 * tenant; only then is it looked whether anything of it is left there; the new one is opened, and the
 * tenant is listed under it. A process that dies in between leaves the tenant closed: the upkeep of any
 * worker goes on with `only` those tenants.
 */
export async function rebalance(
  homes: TenantHomes,
  partition: (name: string) => Promise<OpenPartition>,
  isHeld: () => Promise<boolean>,
  only?: readonly string[],
): Promise<RebalanceResult> {
  const result = { moved: 0, waiting: 0 };
  const leaving = new Map<string, string[]>();
  const all = await homes.all();
  for (const tenantId of only ?? all.keys()) {
    const home = all.get(tenantId);
    if (home === undefined || home === homes.wanted(tenantId)) {
      // Moved but not yet ticked off, or on its way to a partition that is no longer the right one.
      if (only && home !== undefined) await (await partition(home)).gate.reopen(tenantId);
      if (only) await homes.endMove(tenantId);
      continue;
    }
    leaving.set(home, [...(leaving.get(home) ?? []), tenantId]);
  }
  for (const [name, tenantIds] of leaving) {
    const from = await partition(name);
    const months = [-31, 0, 1].map((days) => monthOf(Date.now() + days * DAY_MS));
    const unique = [...new Set(months)];
    const marks = new Map<string, { isPaused: boolean; counts: string[] }>();
    for (const tenantId of tenantIds) {
      await homes.beginMove(tenantId);
      const mark = await from.gate.markMoved(tenantId, unique);
      if (mark) {
        marks.set(tenantId, mark);
        continue;
      }
      result.waiting++;
      await homes.endMove(tenantId);
    }
    const unfinished = await unfinishedTasks(from, new Set(marks.keys()));
    for (const [tenantId, mark] of marks) {
      if (!(await isHeld())) return result;
      if (!unfinished.has(tenantId)) continue;
      marks.delete(tenantId);
      result.waiting++;
      await from.gate.unmarkMoved(tenantId, mark.isPaused);
      await homes.endMove(tenantId);
    }
    for (const [tenantId, { isPaused, counts }] of marks) {
      if (!(await isHeld())) return result;
      const wanted = homes.wanted(tenantId);
      const to = await partition(wanted);
      const quotas = unique.map((month, index) => [month, counts[index] ?? "0"] as const);
      await to.gate.unmarkMoved(tenantId, isPaused, quotas);
      await homes.move(tenantId, wanted);
      await homes.endMove(tenantId);
      result.moved++;
    }
  }
  return result;
}
