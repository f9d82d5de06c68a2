import { isTaskEnvelope } from "../task.ts";
import type { QueuePartition } from "./queue-partition.ts";

const PAGE = 500;
const FOUR_YEARS_MS = 4 * 365 * 24 * 3_600_000;

/**
 * The unfinished tasks of some tenants in one partition, by tenant. The gate's books list those that wait
 * or hold a slot; those that wait for a retry or for children are found among BullMQ's.
 */
export async function unfinishedTasks(
  { keys, gate }: QueuePartition,
  tenantIds: ReadonlySet<string>,
): Promise<Map<string, Set<string>>> {
  const { client } = gate;
  const found = new Map<string, Set<string>>();
  const note = (tenantId: string, ids: Iterable<string>) => {
    const known = found.get(tenantId) ?? new Set();
    for (const id of ids) found.set(tenantId, known.add(id));
  };
  for (const tenantId of tenantIds) {
    note(tenantId, await client.zrange(`${keys.gate}s:${tenantId}`, "0", "-1"));
    note(tenantId, await client.smembers(`${keys.gate}l:${tenantId}`));
  }
  for (const entry of await client.zrange(`${keys.gate}defer`, "0", "-1")) {
    const bar = entry.indexOf("|");
    if (tenantIds.has(entry.slice(0, bar))) note(entry.slice(0, bar), [entry.slice(bar + 1)]);
  }
  const near = String((Date.now() + FOUR_YEARS_MS) * 4096);
  const lists = await Promise.all([
    client.zrangebyscore(`${keys.bullmq}delayed`, "-inf", near),
    client.zrange(`${keys.bullmq}prioritized`, "0", "-1"),
    client.zrange(`${keys.bullmq}waiting-children`, "0", "-1"),
    client.lrange(`${keys.bullmq}wait`, 0, -1),
    client.lrange(`${keys.bullmq}active`, 0, -1),
  ]);
  const rest = lists.flat();
  for (let from = 0; from < rest.length; from += PAGE) {
    await Promise.all(
      rest.slice(from, from + PAGE).map(async (id) => {
        const [owner, data] = await client.hmget(`${keys.bullmq}${id}`, "gt", "data");
        const tenantId = owner ?? tenantOf(data);
        if (tenantId !== undefined && tenantIds.has(tenantId)) note(tenantId, [id]);
      }),
    );
  }
  return found;
}

function tenantOf(data: string | null | undefined): string | undefined {
  if (!data) return undefined;
  const envelope: unknown = JSON.parse(data);
  return isTaskEnvelope(envelope) ? envelope.tenantId : undefined;
}
