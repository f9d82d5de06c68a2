/**
 * A TCP server for the wire protocol of the Nightwatch client: it acknowledges each payload once a
 * durable buffer has it.
 *
 * @example
 * ```ts
 * import { runUntilSignal } from "@millrace/core";
 * import { createBuffer } from "@millrace/core/buffer";
 * import { createIngestServer } from "@millrace/ingest";
 *
 * const buffer = createBuffer({ path: "telemetry/buffer.db" });
 * const ingest = createIngestServer({ buffer });
 * await runUntilSignal([buffer, ingest]);
 * ```
 *
 * @module
 */
export type { DropReason } from "./client/drop-tally.ts";
export {
  createIngestClient,
  type FlushOptions,
  type IngestClient,
  type IngestClientEvents,
} from "./client/ingest-client.ts";
export type { IngestClientStatus } from "./client/ingest-client-status.ts";
export {
  type IngestClientOptions,
  ingestClientOptionsSchema,
  type ReconnectOptions,
  type ResolvedIngestClientOptions,
} from "./client/ingest-client-options.ts";
export type { ClientConnectionState } from "./client/sender.ts";
export type { IngestErrorCode } from "./errors.ts";
export {
  type IngestBuffer,
  type IngestLimits,
  type IngestOptions,
  ingestOptionsSchema,
  type IngestPressure,
  type NamedToken,
  type ResolvedIngestLimits,
  type ResolvedIngestOptions,
} from "./ingest-options.ts";
export type { IngestEvents, IngestServer, IngestStatus, Refusal } from "./ingest-handle.ts";
export type { IngestHttpLimits, IngestHttpOptions } from "./http/http-options.ts";
export type { IngestUdpOptions } from "./udp/udp-options.ts";
export { createIngestServer } from "./ingest-server.ts";
export type { ListenAddress } from "./listening/listen-address.ts";
export type { ListenFrom, ListenOptions } from "./listening/listen-options.ts";
export type { MirrorUpstream, ResolvedMirrorUpstream } from "./mirror/mirror-options.ts";
export type { MirrorOutcome, MirrorUpstreamStatus } from "./mirror/upstream-mirror.ts";
export type { RefusalReason } from "./refusal.ts";
