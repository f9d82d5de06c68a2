/**
 * Real telemetry records and the clients that send them.
 *
 * @module
 */
export { encodeFrame, hashToken } from "./frame.ts";
export { type SendOutcome, sendOnce } from "./one-shot-client.ts";
export { openPipeline, type Pipeline } from "./pipelined-client.ts";
export {
  type LoadClient,
  type LoadGenerator,
  type LoadInput,
  startLoadGenerator,
} from "./load-generator.ts";
export type { LoadResult } from "./load-tally.ts";
export {
  createPayloadStamper,
  type PayloadStamper,
  type PayloadStamperOptions,
} from "./payload-stamper.ts";
export { createRandom } from "./random.ts";
export { readRecords, RECORD_TYPES, type RecordType } from "./records.ts";
export { createTraffic, type Traffic, type TrafficPayload } from "./traffic.ts";
export { type SenderInput, type SenderProgress, type SenderResult, startSender } from "./sender.ts";
