/**
 * A durable first-in first-out buffer of payloads in one SQLite file.
 *
 * @example
 * ```ts
 * import { createBuffer } from "@millrace/core/buffer";
 *
 * const buffer = createBuffer({ path: "telemetry/buffer.db", maxRows: 500_000 });
 * await buffer.start();
 * await buffer.append(Buffer.from('[{"t":"log"}]'), "web");
 * console.log(buffer.status().pendingRows);
 * await buffer.close();
 * ```
 *
 * @module
 */
export {
  type BufferOptions,
  bufferOptionsSchema,
  type ResolvedBufferOptions,
} from "./buffer-options.ts";
export type { BufferStatus } from "./buffer-status.ts";
export { type BufferedRun, type BufferedRuns, readBufferedRuns } from "./buffered-runs.ts";
export { createBuffer } from "./buffer.ts";
export type { BufferEvents, BufferOwner, DurableBuffer } from "./durable-buffer.ts";
export type { SalvageReport } from "./salvage/salvage.ts";
export {
  type ClaimedBatch,
  type ClaimLimits,
  ClaimSession,
  type ClaimSessionOptions,
} from "./claims.ts";
export type { BufferedPayload, PayloadList } from "./grouped-payloads.ts";
