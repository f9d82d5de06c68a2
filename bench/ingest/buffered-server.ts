/**
 * The ingest server with its buffer, in a process of its own.
 *
 * @module
 */
import { createBuffer, type DurableBuffer } from "@millrace/core/buffer";
import { createIngestServer, type IngestServer } from "@millrace/ingest";
import { UNLIMITED_BUFFER } from "../process/unlimited-buffer.ts";
import { warningsOnly } from "../process/warnings-only.ts";
import { answerServerCalls } from "./answer-server-calls.ts";

let buffer: DurableBuffer | undefined;
let ingest: IngestServer | undefined;

const counts = () => ({
  payloads: ingest?.status().payloads ?? 0,
  commits: buffer?.status().commits ?? 0,
});

answerServerCalls(counts, {
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
  async stop() {
    await ingest?.close();
    await buffer?.close();
  },
});
