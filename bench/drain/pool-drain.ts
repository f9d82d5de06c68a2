/**
 * A drain pool that lands a full buffer, in a process of its own.
 *
 * @module
 */
import { createBuffer } from "@millrace/core/buffer";
import { createDrainPool, postgres } from "@millrace/drain";
import { nightwatch } from "@millrace/drain/nightwatch";
import { answerCalls } from "../process/answer-calls.ts";
import { countLandings } from "../process/landing-count.ts";
import { startUsage, type Usage } from "../process/process-usage.ts";
import { UNLIMITED_BUFFER } from "../process/unlimited-buffer.ts";
import { warningsOnly } from "../process/warnings-only.ts";
import { closeStartGate } from "./start-gate.ts";

export interface PoolDrainInput {
  bufferPath: string;
  databaseUrl: string;
  postmasterPid: number;
  workers: number;
  tuning: DrainTuning;
  /** How many the buffer holds. */
  payloads: number;
}

/** What differs from the pool's defaults. */
export interface DrainTuning {
  /** Fixed unless it says otherwise. */
  isAdaptive?: boolean;
  /** Gives way to others; only with `isAdaptive`. */
  isPolite?: boolean;
  batchRows?: number;
  synchronousCommit?: "on" | "off";
  /** Leaves out what is merged into other tables. */
  without?: "rollups" | "upserts and rollups";
}

/** How long something landed rows, and what it cost. */
export interface Landing {
  seconds: number;
  usage: Usage;
}

/** How long a pool landed rows, and how fast it was once it had found its pace. */
export interface PoolLanding extends Landing {
  /** Of the second half of the rows. */
  lateRowsPerSecond: number;
}

const TIMEOUT_MS = 600_000;

const calls = {
  async land(input: PoolDrainInput): Promise<PoolLanding> {
    const gate = await closeStartGate(input.databaseUrl);
    const buffer = createBuffer({
      path: input.bufferPath,
      ...UNLIMITED_BUFFER,
      logger: warningsOnly,
    });
    const {
      isAdaptive = false,
      isPolite = false,
      batchRows,
      synchronousCommit,
      without,
    } = input.tuning;
    const schema = nightwatch({ rollups: without === undefined });
    const pool = createDrainPool({
      buffer,
      destination: postgres({ connectionString: input.databaseUrl, synchronousCommit }),
      schema: without === "upserts and rollups" ? { ...schema, upserts: [] } : schema,
      workers: input.workers,
      concurrency: isAdaptive ? "adaptive" : "fixed",
      polite: isPolite,
      batchRows,
      logger: warningsOnly,
    });
    const landings = countLandings(pool);
    await buffer.start();
    const started = pool.start();
    // An adaptive pool starts with no more than two, a polite one with one.
    await gate.waiting(isAdaptive ? Math.min(input.workers, isPolite ? 1 : 2) : input.workers);

    const endUsage = startUsage(input.postmasterPid);
    const startedAt = performance.timeOrigin + performance.now();
    await gate.open();
    await landings.reaches(input.payloads / 2, TIMEOUT_MS);
    const half = { payloads: landings.payloads, at: landings.lastLandedAt };
    await landings.reaches(input.payloads, TIMEOUT_MS);
    const usage = endUsage();
    const seconds = (landings.lastLandedAt - startedAt) / 1_000;
    const lateSeconds = (landings.lastLandedAt - half.at) / 1_000;
    const lateRowsPerSecond = (landings.payloads - half.payloads) / lateSeconds;

    await started;
    await pool.close();
    await buffer.close();
    return { seconds, usage, lateRowsPerSecond };
  },
};

export type PoolDrainCalls = typeof calls;

answerCalls(calls);
