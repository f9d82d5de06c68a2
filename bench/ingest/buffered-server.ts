/**
 * The ingest server with its buffer, in a process of its own.
 *
 * @module
 */
import { createBuffer, type DurableBuffer } from "@millrace/core/buffer";
import { createIngestServer, type IngestServer } from "@millrace/ingest";
import { answerCalls } from "../process/answer-calls.ts";
import { startUsage, type Usage } from "../process/process-usage.ts";
import { UNLIMITED_BUFFER } from "../process/unlimited-buffer.ts";
import { warningsOnly } from "../process/warnings-only.ts";
import type { ServerCalls } from "./server-calls.ts";

let buffer: DurableBuffer | undefined;
let ingest: IngestServer | undefined;
let before = { payloads: 0, commits: 0 };
let endUsage: () => Usage = startUsage();

const counts = () => ({
  payloads: ingest?.status().payloads ?? 0,
  commits: buffer?.status().commits ?? 0,
});

const calls: ServerCalls = {
  async start({ path, durability, http = false }) {
    buffer = createBuffer({ path, durability, ...UNLIMITED_BUFFER, logger: warningsOnly });
    ingest = createIngestServer({
      buffer,
      port: 0,
      http: http && { port: 0 },
      logger: warningsOnly,
    });
    await buffer.start();
    await ingest.start();
    return { port: (http ? ingest.httpAddress() : ingest.address()).port };
  },
  begin() {
    before = counts();
    endUsage = startUsage();
  },
  end() {
    const usage = endUsage();
    const { payloads, commits } = counts();
    return { payloads: payloads - before.payloads, commits: commits - before.commits, usage };
  },
  async stop() {
    await ingest?.close();
    await buffer?.close();
  },
};

answerCalls(calls);
