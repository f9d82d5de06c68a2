/**
 * The thread that lands batches; started by the drain pool.
 *
 * @module
 */
import { parentPort, workerData } from "node:worker_threads";
import { ClaimSession } from "@millrace/core/thread";
import { lowerThreadPriority } from "./adaptive/thread-priority.ts";
import { WorkerPermits } from "./adaptive/worker-permits.ts";
import { ScannedPayloads } from "./batch/scanned-payloads.ts";
import { segmentLimits } from "./batch/segment-limits.ts";
import { DrainLoop } from "./drain-loop.ts";
import { compileRouter } from "./encode/router.ts";
import type { DrainMessage, WorkerInput, WorkerMessage } from "./messages.ts";
import { PartitionMaintainer } from "./partitions/partition-maintainer.ts";
import { compileScannedTables } from "./scan/scanned-tables.ts";
import { compileUpserts } from "./upsert/compiled-upserts.ts";
import { BatchWriter } from "./write/batch-writer.ts";
import { TableBreakers } from "./write/table-breaker.ts";

/** How often the thread says that its event loop turns, in milliseconds. */
const ALIVE_INTERVAL_MS = 2_000;

const input = workerData as WorkerInput;
const { path, durability, owner, turns, worker, destination, schema, limits, heapMib } = input;
const port = parentPort;
if (port === null) throw new Error("@millrace/drain/worker is a worker thread's entry");

if (input.polite) lowerThreadPriority();
const report = (message: WorkerMessage) => port.postMessage(message);
const session = new ClaimSession({ path, owner, worker, durability, turns });
const router = compileRouter(schema);
const loop = new DrainLoop({
  session,
  writer: new BatchWriter({
    bufferId: session.bufferId,
    worker,
    router,
    scanned: new ScannedPayloads(compileScannedTables(schema, router)),
    upserts: compileUpserts(schema),
    limits: segmentLimits({ heapMib, maxInflatedBytes: limits.maxInflatedBytes }),
    breakers: new TableBreakers(input.breakerRows, (change) =>
      report({ type: "breaker", ...change }),
    ),
    statementTimeoutMs: destination.batchTimeoutMs,
    lockTimeoutMs: input.lockTimeoutMs,
    synchronousCommit: destination.synchronousCommit,
  }),
  destination,
  schema,
  maintainer: new PartitionMaintainer(schema),
  limits,
  permits: new WorkerPermits(input.permits),
  worker,
  report,
});

// Tells that all code is loaded.
report({ type: "alive" });
const alive = setInterval(() => report({ type: "alive" }), ALIVE_INTERVAL_MS);
port.on("message", (message: DrainMessage) => {
  if (message.type === "drain") loop.drain();
  // Between two turns of the loop, where no native code is cut off in the middle.
  else process.exit(0);
});
await loop.run();
clearInterval(alive);
session.close();
port.close();
