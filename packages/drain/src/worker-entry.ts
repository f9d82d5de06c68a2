/**
 * The thread that lands batches; started by the drain pool.
 *
 * @module
 */
import { parentPort, workerData } from "node:worker_threads";
import { ClaimSession } from "@millrace/core/buffer";
import { DrainLoop } from "./drain-loop.ts";
import { compileRouter } from "./encode/router.ts";
import type { DrainMessage, WorkerInput, WorkerMessage } from "./messages.ts";
import { compileUpserts } from "./upsert/compiled-upserts.ts";
import { BatchWriter } from "./write/batch-writer.ts";

/** Encoded characters held at once. */
const SEGMENT_LENGTH = 16 * 1024 * 1024;

const { path, durability, owner, worker, destination, schema, limits, aliveIntervalMs } =
  workerData as WorkerInput;
const port = parentPort;
if (port === null) throw new Error("@millrace/drain/worker is a worker thread's entry");

const report = (message: WorkerMessage) => port.postMessage(message);
const session = new ClaimSession({ path, owner, worker, durability });
const loop = new DrainLoop({
  session,
  writer: new BatchWriter({
    bufferId: session.bufferId,
    router: compileRouter(schema),
    upserts: compileUpserts(schema),
    limits: { maxInflatedBytes: limits.maxInflatedBytes, segmentLength: SEGMENT_LENGTH },
    statementTimeoutMs: destination.batchTimeoutMs,
  }),
  destination,
  schema,
  limits,
  report,
});

const alive = setInterval(() => report({ type: "alive" }), aliveIntervalMs);
port.on("message", (message: DrainMessage) => {
  if (message.type === "drain") loop.drain();
});
await loop.run();
clearInterval(alive);
session.close();
port.close();
