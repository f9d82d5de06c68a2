/**
 * What a team deploys: buffer, drain pool and ingest server in one process.
 *
 * @module
 */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { createBuffer, type DurableBuffer } from "@millrace/core/buffer";
import { createDrainPool, type DrainPool, postgres } from "@millrace/drain";
import { nightwatch } from "@millrace/drain/nightwatch";
import { createIngestServer, type IngestServer } from "@millrace/ingest";
import { answerCalls } from "../process/answer-calls.ts";
import { countLandings, type LandingCount } from "../process/landing-count.ts";
import { startUsage, type Usage } from "../process/process-usage.ts";
import { UNLIMITED_BUFFER } from "../process/unlimited-buffer.ts";
import { warningsOnly } from "../process/warnings-only.ts";

export interface AgentInput {
  bufferPath: string;
  databaseUrl: string;
  postmasterPid: number;
}

interface Agent {
  buffer: DurableBuffer;
  drain: DrainPool;
  ingest: IngestServer;
  landings: LandingCount;
}

const TIMEOUT_MS = 600_000;

let agent: Agent | undefined;
let postmasterPid: number | undefined;
let payloadsAtBegin = 0;
let endUsage: () => Usage = startUsage();
const LOOP_LOOK_MS = 1;
const loopDelay = monitorEventLoopDelay({ resolution: LOOP_LOOK_MS });

const calls = {
  async start(input: AgentInput): Promise<{ port: number }> {
    postmasterPid = input.postmasterPid;
    const logger = warningsOnly;
    const buffer = createBuffer({ path: input.bufferPath, ...UNLIMITED_BUFFER, logger });
    const drain = createDrainPool({
      buffer,
      destination: postgres({ connectionString: input.databaseUrl }),
      schema: nightwatch(),
      logger,
    });
    const ingest = createIngestServer({ buffer, port: 0, logger });
    agent = { buffer, drain, ingest, landings: countLandings(drain) };
    await buffer.start();
    await drain.start();
    await ingest.start();
    return { port: ingest.address().port };
  },
  begin(): void {
    payloadsAtBegin = running().ingest.status().payloads;
    endUsage = startUsage(postmasterPid);
    loopDelay.enable();
    loopDelay.reset();
  },
  /** Payloads taken since `begin`, and how many of all wait to land. */
  taken(): { payloads: number; backlog: number } {
    const { ingest, buffer } = running();
    return {
      payloads: ingest.status().payloads - payloadsAtBegin,
      backlog: buffer.status().rows,
    };
  },
  /** Resolves once everything that was ever taken has landed. */
  async landed(): Promise<{ lastLandedAt: number; usage: Usage; loopDelayP99Ms: number }> {
    const { ingest, landings } = running();
    await landings.reaches(ingest.status().payloads, TIMEOUT_MS);
    // The time from one look to the next: what is beyond the resolution is delay.
    const loopDelayP99Ms = loopDelay.percentile(99) / 1_000_000 - LOOP_LOOK_MS;
    return { lastLandedAt: landings.lastLandedAt, usage: endUsage(), loopDelayP99Ms };
  },
  async stop(): Promise<void> {
    const { ingest, drain, buffer } = running();
    await ingest.close();
    await drain.close();
    await buffer.close();
  },
};

export type AgentCalls = typeof calls;

answerCalls(calls);

function running(): Agent {
  if (agent === undefined) throw new Error("call start first");
  return agent;
}
