import { prepareScripts, runScript, type ScriptName } from "../lua-scripts.ts";
import type { RedisClient } from "../redis-client.ts";
import { publishCommand } from "../redis-subscriber.ts";
import type { GateKeys } from "./gate-keys.ts";
import type { TenantLimits } from "./tenant-limits.ts";

/** What became of a job that was to be staged. */
export type StageOutcome =
  | "staged"
  | "known"
  | "past-staging"
  | "missing"
  | "tenant-disabled"
  | "quota-exceeded"
  | "staged-full"
  | "other-tenant"
  | "tenant-moved"
  | "taken";

const OUTCOMES: Record<string, StageOutcome> = {
  "1": "staged",
  "0": "known",
  "2": "past-staging",
  "-1": "missing",
  "-2": "tenant-disabled",
  "-3": "quota-exceeded",
  "-4": "staged-full",
  "-5": "other-tenant",
  "-6": "tenant-moved",
  "3": "taken",
};

/** A run that ended: its tenant, its job, and the attempt that held the slot. */
export interface SettledRun {
  tenantId: string;
  jobId: string;
  attempt: number;
}

/** A task that no job of its id is known for. */
export interface AddRequest extends Omit<StageRequest, "feed"> {
  name: string;
  priority: number;
  /** When it was added, in Unix milliseconds. */
  timestamp: number;
  /** What BullMQ is told; see {@link farDelayMs}. */
  delayMs: number;
  dataJson: string;
  optionsJson: string;
}

export interface StageRequest {
  tenantId: string;
  jobId: string;
  limits?: TenantLimits | undefined;
  /** Not before this time, in Unix milliseconds. */
  dueAt?: number | undefined;
  /** Month that the job counts against, `yyyymm`; none means it is not counted. */
  month?: string | undefined;
  /** Whether to admit at once what may be admitted. @default true */
  feed?: boolean | undefined;
}

/** Depth of one tenant in one queue. */
export interface TenantDepth {
  tenantId: string;
  staged: number;
  /** Slots held: admitted, running, or awaiting a callback. */
  held: number;
  maxConcurrent: number;
  weight: number;
  isPaused: boolean;
  /** When the first in line was added, in Unix milliseconds. */
  oldestAt: number | undefined;
}

/** What became of a dispatch that asked to be called back. */
export type RegisteredCallback =
  | { outcome: "awaiting"; deadlineAt: number }
  | { outcome: "answered"; payload: string }
  | { outcome: "timed-out" };

/** What became of a callback; `payload` is the first one's when it repeats that. */
export interface DeliveredCallback {
  outcome: "delivered" | "repeated" | "missing" | "refused";
  payload?: string;
}

/** The scripts of the gate over one connection, typed. */
export class Gate {
  readonly keys: GateKeys;
  readonly client: RedisClient;
  readonly #now: (() => number) | undefined;

  /** `now` replaces the server's clock, for tests. */
  constructor(client: RedisClient, keys: GateKeys, now?: () => number) {
    this.client = client;
    this.keys = keys;
    this.#now = now;
    prepareScripts(client);
  }

  /** Stores and stages in one call; `taken` when there is a job of that id. See lua/add.lua. */
  async add(request: AddRequest): Promise<StageOutcome> {
    const { tenantId, jobId, limits, dueAt, month } = request;
    const reply = await this.#run("add", [
      tenantId,
      jobId,
      request.priority,
      request.timestamp,
      request.delayMs,
      request.name,
      request.dataJson,
      request.optionsJson,
      dueAt ?? "",
      limits?.version ?? "",
      limits?.json ?? "",
      month ?? "",
    ]);
    return stageOutcome(reply);
  }

  async stage(request: StageRequest): Promise<StageOutcome> {
    return stageOutcome(await this.#run("stage", this.stageArguments(request)));
  }

  /** Arguments of the stage script after the three that all scripts take. */
  stageArguments(request: StageRequest): Array<string | number> {
    const { tenantId, jobId, limits, dueAt, month, feed = true } = request;
    return [
      tenantId,
      jobId,
      dueAt ?? "",
      limits?.version ?? "",
      limits?.json ?? "",
      month ?? "",
      feed ? "1" : "0",
    ];
  }

  async feed(limit = 1_000): Promise<{ admitted: number; nextDueAt: number | undefined }> {
    const [admitted, due] = (await this.#run("feed", [limit])) as [number, string];
    return { admitted, nextDueAt: dueTime(due) };
  }

  /** @returns how many slots came free. */
  async settle(runs: readonly SettledRun[]): Promise<number> {
    const args = runs.flatMap(({ tenantId, jobId, attempt }) => [tenantId, jobId, attempt]);
    return (await this.#run("settle", args)) as number;
  }

  /** Asks for a slot for this attempt. */
  async acquire(
    run: SettledRun,
    limits?: TenantLimits,
  ): Promise<"granted" | "refused" | "cancelled"> {
    const reply = await this.#run("acquire", [
      run.tenantId,
      run.jobId,
      run.attempt,
      limits?.version ?? "",
      limits?.json ?? "",
    ]);
    if (reply === 2) return "cancelled";
    return reply === 1 ? "granted" : "refused";
  }

  async configureTenant(
    tenantId: string,
    { limits, isPaused }: { limits?: TenantLimits; isPaused?: boolean },
  ): Promise<number> {
    return (await this.#run("configure-tenant", [
      tenantId,
      limits?.version ?? "",
      limits?.json ?? "",
      isPaused === undefined ? "" : isPaused ? "1" : "0",
    ])) as number;
  }

  async tick(worker: {
    id: string;
    concurrency: number;
    ttlMs: number;
    leaderMs: number;
  }): Promise<{ isLeader: boolean; admitted: number; nextDueAt: number | undefined }> {
    const [leader, admitted, due] = (await this.#run("tick", [
      worker.id,
      worker.concurrency,
      worker.ttlMs,
      worker.leaderMs,
    ])) as [string, number, string];
    return { isLeader: leader === "1", admitted, nextDueAt: dueTime(due) };
  }

  /** One page of a tenant's slots and, unless told otherwise, of its staged tasks. */
  async reconcileTenant(
    tenantId: string,
    { cursor = "0", slotsOnly = false }: { cursor?: string; slotsOnly?: boolean } = {},
  ): Promise<{ freed: number; dropped: number; cursor: string }> {
    const [freed, dropped, next] = (await this.#run("reconcile", [
      tenantId,
      cursor,
      100,
      slotsOnly ? "1" : "0",
    ])) as [number, number, string];
    return { freed, dropped, cursor: next };
  }

  /** Staged tasks that BullMQ does not know, less those that only it knows; see lua/count-unmatched.lua. */
  async countUnmatched(): Promise<number> {
    return (await this.#run("count-unmatched", [])) as number;
  }

  /** One page of the search for jobs that the gate does not know. */
  async restage(
    after = "",
    count = 100,
    month = "",
  ): Promise<{ after: string; staged: number; refusedIds: string[] }> {
    const [next, staged, ...refusedIds] = (await this.#run("restage", [after, count, month])) as [
      string,
      number,
      ...string[],
    ];
    return { after: next, staged, refusedIds };
  }

  async forget(tenantId: string, jobIds: readonly string[]): Promise<number> {
    return (await this.#run("forget", [tenantId, ...jobIds])) as number;
  }

  /** Takes the right to run from a task; see lua/cancel.lua. */
  async cancel(jobId: string): Promise<"missing" | "waiting" | "running"> {
    const parts = [jobId, this.cancelChannel, publishCommand(this.client)];
    const reply = await this.#run("cancel", parts);
    return reply === 2 ? "running" : reply === 1 ? "waiting" : "missing";
  }

  /** Takes off a failed job what its runs left. @returns false when it is not among the failed. */
  async renew(jobId: string, dataJson: string): Promise<boolean> {
    return (await this.#run("renew", [jobId, dataJson])) === 1;
  }

  /** Where workers hear of cancelled runs. */
  get cancelChannel(): string {
    return `${this.keys.gate}cancel`;
  }

  /** Closes the partition to a tenant; see lua/mark-moved.lua. @returns undefined when it has tasks here. */
  async markMoved(
    tenantId: string,
    months: readonly string[],
  ): Promise<{ isPaused: boolean; counts: string[] } | undefined> {
    const [isMarked, paused, ...counts] = (await this.#run("mark-moved", [
      tenantId,
      ...months,
    ])) as [number, string, ...string[]];
    return isMarked === 1 ? { isPaused: paused === "1", counts } : undefined;
  }

  /** Opens the partition to a tenant; see lua/unmark-moved.lua. */
  async unmarkMoved(
    tenantId: string,
    isPaused: boolean,
    counts: ReadonlyArray<readonly [month: string, count: string]> = [],
  ): Promise<void> {
    await this.#run("unmark-moved", [tenantId, isPaused ? "1" : "0", ...counts.flat()]);
  }

  /** Opens the partition to a tenant if it is closed to it. */
  async reopen(tenantId: string): Promise<void> {
    const paused = await this.client.hget(`${this.keys.gate}t:${tenantId}`, "moved");
    if (paused !== null) await this.unmarkMoved(tenantId, paused === "1");
  }

  /** Makes a running job await a callback; see lua/register-callback.lua. */
  async registerCallback(dispatch: {
    jobId: string;
    dispatchKey: string;
    tokenHash: string;
    deadlineAt: number;
  }): Promise<RegisteredCallback> {
    const { jobId, dispatchKey, tokenHash, deadlineAt } = dispatch;
    const [code, value] = (await this.#run("register-callback", [
      jobId,
      dispatchKey,
      tokenHash,
      deadlineAt,
    ])) as [number, string?];
    if (code === 2) return { outcome: "answered", payload: value ?? "" };
    return code === 1
      ? { outcome: "awaiting", deadlineAt: Number(value) }
      : { outcome: "timed-out" };
  }

  /** Delivers a callback; see lua/resume.lua. */
  async resume(callback: {
    jobId: string;
    dispatchKey: string;
    tokenHash: string;
    payload: string;
  }): Promise<DeliveredCallback> {
    const { jobId, dispatchKey, tokenHash, payload } = callback;
    const [code, first] = (await this.#run("resume", [jobId, dispatchKey, tokenHash, payload])) as [
      number,
      string?,
    ];
    if (code === 1) return { outcome: "delivered" };
    if (code === 2) return { outcome: "repeated", payload: first ?? "" };
    return { outcome: code === 0 ? "missing" : "refused" };
  }

  /** Tenants with anything staged or held. */
  async activeTenants(): Promise<string[]> {
    const tenants = new Set<string>();
    let cursor = "0";
    do {
      const [next, page] = await this.client.sscan(`${this.keys.gate}lt`, cursor, "COUNT", 1_000);
      for (const tenant of page) tenants.add(tenant);
      cursor = next;
    } while (cursor !== "0");
    return [...tenants];
  }

  async depths(tenantIds: readonly string[]): Promise<TenantDepth[]> {
    const depths: TenantDepth[] = [];
    for (let from = 0; from < tenantIds.length; from += 500) {
      const page = tenantIds.slice(from, from + 500);
      const rows = (await this.#run("status", page)) as Array<
        [number, number, number, number, string, string]
      >;
      for (const [index, [staged, held, maxConcurrent, paused, oldest, weight]] of rows.entries()) {
        depths.push({
          tenantId: page[index] ?? "",
          staged,
          held,
          maxConcurrent,
          weight: Number(weight),
          isPaused: paused === 1,
          oldestAt: oldest === "" ? undefined : Number(oldest),
        });
      }
    }
    return depths;
  }

  /** The arguments that every gate script starts with. */
  get prefixArguments(): [string, string, string | number] {
    return [this.keys.bullmq, this.keys.gate, this.#now?.() ?? ""];
  }

  /** The keys that every gate script takes, for routing; see lua/library/base.lua. */
  get routingKeys(): [meta: string, missing: string] {
    return [`${this.keys.bullmq}meta`, `${this.keys.gate}missing`];
  }

  #run(name: ScriptName, args: ReadonlyArray<string | number>): Promise<unknown> {
    return runScript(this.client, name, this.routingKeys, [...this.prefixArguments, ...args]);
  }
}

/** The stage script's reply in words. */
export function stageOutcome(reply: unknown): StageOutcome {
  return OUTCOMES[String(reply)] ?? "missing";
}

function dueTime(due: string): number | undefined {
  const time = Number(due);
  return time < 0 ? undefined : time;
}
