import type { ConnectionOptions } from "node:tls";
import type { Logger, MetricsRegistry } from "@millrace/core";
import * as z from "zod";

/** Waits between tries to reach a server that is away; see `Backoff` of `@millrace/core`. */
export interface ReconnectOptions {
  /** Upper bound of the first wait, in milliseconds. @default 250 */
  baseMs?: number | undefined;
  /** Upper bound of every wait, in milliseconds. @default 30_000 */
  capMs?: number | undefined;
}

/** Options of {@link createIngestClient}. Sizes are bytes, times are milliseconds. */
export interface IngestClientOptions {
  /** Where the server is. @default "127.0.0.1" */
  host?: string | undefined;
  /** @default 2407 */
  port?: number | undefined;
  /** One of the server's tokens. Only 7 characters of its hash are sent. */
  token: string;
  /** `true`, or what `connect` of `node:tls` takes, for a TLS server. @default false */
  tls?: boolean | ConnectionOptions | undefined;
  /**
   * What becomes of a batch that was sent and not answered when its connection broke. The server
   * may or may not have it: `at-least-once` sends it again, `at-most-once` drops it.
   *
   * @default "at-least-once"
   */
  delivery?: "at-least-once" | "at-most-once" | undefined;
  /** Compresses batches, off the main thread. @default false */
  gzip?: boolean | undefined;
  /** Records that make a batch full. @default 500 */
  maxBatchRecords?: number | undefined;
  /**
   * Bytes of JSON that make a batch full; a single record above it is dropped. Stay below the
   * server's `limits.maxFrameBytes`. @default 1 MiB
   */
  maxBatchBytes?: number | undefined;
  /** How long a record may wait for its batch to fill, in milliseconds. @default 1_000 */
  maxBatchDelayMs?: number | undefined;
  /** Memory in records that are not acknowledged; beyond it the oldest are dropped. @default 16 MiB */
  maxBufferedBytes?: number | undefined;
  /** Batches on their way at a time. Until the first answer on a connection it is one. @default 8 */
  maxUnansweredBatches?: number | undefined;
  /**
   * How long a batch that the server refuses is tried again before it is dropped, from its first
   * refusal, in milliseconds; 0 drops it at once. The protocol has one refusal for "busy" and "bad token".
   *
   * @default 60_000
   */
  refusalRetryMs?: number | undefined;
  /** How long connecting may take, TLS included, in milliseconds. @default 5_000 */
  connectTimeoutMs?: number | undefined;
  /** From sending, or from the last reply, to the next one, in milliseconds. @default 30_000 */
  replyTimeoutMs?: number | undefined;
  /**
   * After so many milliseconds with nothing to send the connection is closed. Stay below the server's
   * `limits.idleTimeoutMs`, or batches are sent into connections that it is closing.
   *
   * @default 30_000
   */
  idleTimeoutMs?: number | undefined;
  /** Waits between tries to reach the server. @default 250 ms, doubling up to 30 s */
  reconnect?: ReconnectOptions | undefined;
  /** pino-compatible. @default pino at `info` on stderr */
  logger?: Logger | undefined;
  /** @default the process's prom-client registry */
  metrics?: MetricsRegistry | undefined;
}

const MIB = 1024 * 1024;
const timeoutMs = z.int().positive().max(86_400_000);

/** Validates {@link IngestClientOptions} and fills in defaults. */
export const ingestClientOptionsSchema = z
  .strictObject({
    host: z.string().min(1).default("127.0.0.1"),
    port: z.int().min(1).max(65_535).default(2407),
    token: z.string().min(1).meta({ secret: true }),
    tls: z
      .union([
        z.boolean(),
        z.custom<ConnectionOptions>((value) => typeof value === "object" && value !== null),
      ])
      .default(false),
    delivery: z.enum(["at-least-once", "at-most-once"]).default("at-least-once"),
    gzip: z.boolean().default(false),
    maxBatchRecords: z.int().positive().max(1_000_000).default(500),
    maxBatchBytes: z
      .int()
      .min(64)
      .max(1024 * MIB)
      .default(MIB),
    maxBatchDelayMs: z.int().min(0).max(86_400_000).default(1_000),
    maxBufferedBytes: z
      .int()
      .positive()
      .default(16 * MIB),
    maxUnansweredBatches: z.int().positive().max(1_024).default(8),
    refusalRetryMs: z.int().min(0).max(86_400_000).default(60_000),
    connectTimeoutMs: timeoutMs.default(5_000),
    replyTimeoutMs: timeoutMs.default(30_000),
    idleTimeoutMs: timeoutMs.default(30_000),
    reconnect: z
      .strictObject({ baseMs: timeoutMs.default(250), capMs: timeoutMs.default(30_000) })
      .prefault({}),
    logger: z.custom<Logger>().optional(),
    metrics: z.custom<MetricsRegistry>().optional(),
  })
  .refine(({ maxBatchBytes, maxBufferedBytes }) => maxBatchBytes * 2 <= maxBufferedBytes, {
    path: ["maxBufferedBytes"],
    error: "must be at least twice maxBatchBytes: one batch on its way, one that fills",
  });

/** {@link IngestClientOptions} after defaults. */
export type ResolvedIngestClientOptions = z.output<typeof ingestClientOptionsSchema>;
