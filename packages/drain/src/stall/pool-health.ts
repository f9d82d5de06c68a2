import type { Health } from "@millrace/core";
import type { WorkerPhase } from "../messages.ts";
import type { DrainStallCode } from "./stall-code.ts";

/** What one worker thread is doing. */
export interface DrainWorkerStatus {
  worker: number;
  /**
   * `starting` until the thread has reported; `waiting` when its batch does not land; `resting` when
   * fewer workers than there are may claim.
   */
  phase: WorkerPhase | "starting";
  /** Why it waits. */
  reason: string | undefined;
  /** Why it waits, as a stable code. */
  code: DrainStallCode | undefined;
  /** Since when it has been in this phase without landing a batch, in Unix milliseconds. */
  since: number;
}

/** What {@link poolHealth} looks at; times in Unix milliseconds. */
export interface PoolProgress {
  rows: number;
  pendingRows: number;
  /** The last moment at which nothing was stuck. */
  idleSince: number;
  workers: readonly DrainWorkerStatus[];
  /** How long nothing was heard of a worker's thread, in milliseconds. */
  silentMs: (worker: number) => number;
  stallMs: number;
  now: number;
}

/** Health of a pool that lands nothing; its code is one of {@link DrainStallCode}. */
interface Stall extends Health {
  healthy: false;
  code: DrainStallCode;
  reason: string;
}

/** A thread says every 2 s that it lives. */
const HUNG_MS = 4_500;

/** Undefined as long as batches land, or nothing is there to be landed. */
export function findStall(progress: PoolProgress): Stall | undefined {
  const { rows, pendingRows, idleSince, workers, stallMs, now } = progress;
  if (rows === 0) return undefined;
  // Rows that a worker holds are not pending: that worker may be the one that is stuck.
  const stuck = workers.find(
    ({ phase, since }) => phase !== "idle" && phase !== "resting" && now - since >= stallMs,
  );
  if (stuck !== undefined) return stuckAt(stuck, progress);
  if (pendingRows === 0 || now - idleSince < stallMs) return undefined;
  const suspect =
    workers.find(({ code }) => code !== undefined) ??
    workers.find(({ worker }) => progress.silentMs(worker) >= HUNG_MS);
  if (suspect !== undefined) return stuckAt({ ...suspect, since: idleSince }, progress);
  return stall("no-worker", rows, now - idleSince, "no worker takes them");
}

function stuckAt(
  { worker, phase, code, reason, since }: DrainWorkerStatus,
  { rows, now, silentMs }: PoolProgress,
): Stall {
  const stalledMs = now - since;
  if (phase === "starting") {
    return stall("no-worker", rows, stalledMs, `worker ${worker} is starting`);
  }
  const silence = silentMs(worker);
  // SQLite waits for locks without turning the event loop.
  if (silence >= HUNG_MS && code !== "disk-trouble") {
    const seconds = Math.round(silence / 1_000);
    return stall("worker-hung", rows, stalledMs, `worker ${worker} was silent for ${seconds} s`);
  }
  // The thread lives and its statement does not end: it is PostgreSQL that does not answer.
  return stall(
    code ?? "postgres-unreachable",
    rows,
    stalledMs,
    reason ?? `worker ${worker} is ${phase}, PostgreSQL does not answer`,
  );
}

function stall(code: DrainStallCode, rows: number, stalledMs: number, reason: string): Stall {
  const seconds = Math.round(stalledMs / 1_000);
  return {
    healthy: false,
    code,
    reason: `${rows} rows buffered, not landing for ${seconds} s: ${reason}`,
  };
}
