import type { MaintenanceReport } from "./partitions/maintenance-report.ts";
import type { DrainSchema } from "./schema/drain-schema.ts";
import type { PostgresDestination } from "./postgres.ts";
import type { DrainStallCode } from "./stall/stall-code.ts";
import type { BreakerChange } from "./write/table-breaker.ts";

/** Bounds of a worker's batches; how many payloads they may have is in its permits. */
export interface BatchLimits {
  batchBytes: number;
  batchWaitMs: number;
  maxInflatedBytes: number;
}

/** What a worker thread is started with. */
export interface WorkerInput {
  path: string;
  durability: "process" | "power";
  owner: string;
  /** Memory by which claims and appends take turns. */
  turns: SharedArrayBuffer;
  worker: number;
  destination: PostgresDestination;
  schema: DrainSchema;
  limits: BatchLimits;
  /** Memory of the pool's permits. */
  permits: SharedArrayBuffer;
  /** Whether other threads of the machine go first. */
  polite: boolean;
  /** How long a batch may wait for a lock, in milliseconds. */
  lockTimeoutMs: number;
  heapMib: number;
  /** Rows of a table refused in a row for one cause before its breaker opens. */
  breakerRows: number;
}

/** To a worker: `drain` lands what is pending and then ends, `stop` ends as it stands. */
export interface DrainMessage {
  type: "drain" | "stop";
}

/**
 * What a worker is doing. `waiting`: its batch does not land, or PostgreSQL cannot be reached.
 * `resting`: fewer workers than there are may claim.
 */
export type WorkerPhase = "connecting" | "idle" | "landing" | "waiting" | "resting";

/** From a worker. */
export type WorkerMessage =
  | { type: "alive" }
  | {
      type: "phase";
      phase: WorkerPhase;
      reason?: string | undefined;
      code?: DrainStallCode | undefined;
    }
  | { type: "trouble"; code: DrainStallCode }
  | {
      type: "landed";
      wasLanded: boolean;
      payloads: number;
      deadPayloads: number;
      records: Array<[table: string, count: number]>;
      deadLetters: Array<[code: string, count: number]>;
      seconds: number;
    }
  | ({ type: "breaker" } & BreakerChange)
  | ({ type: "maintained" } & MaintenanceReport)
  | { type: "retry"; reason: "connection" | "schema" | "data" | "lost" };
