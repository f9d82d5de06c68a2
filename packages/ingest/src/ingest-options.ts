import type { Logger, MetricsRegistry, Pressure } from "@millrace/core";
import * as z from "zod";
import { type ListenOptions, listenShape } from "./listening/listen-options.ts";
import { httpSchema, type IngestHttpOptions } from "./http/http-options.ts";
import { type MirrorUpstream, mirrorSchema } from "./mirror/mirror-options.ts";
import { type IngestUdpOptions, udpSchema } from "./udp/udp-options.ts";

/** What the server needs of a buffer; `createBuffer` of `@millrace/core/buffer` returns one. */
export interface IngestBuffer {
  readonly options: { readonly whenFull: "reject" | "block" | "drop-oldest" };
  /** Resolves once the payload is durable, rejects when it was not stored. */
  append(payload: Uint8Array, token: string): Promise<void>;
  /** False when an append would be rejected, or would have to wait, for want of room. */
  hasRoom(): boolean;
}

/** What the server needs of backpressure; `createPressure` of `@millrace/core` returns one. */
export type IngestPressure = Pick<Pressure, "pressure" | "on">;

/** A token with the name that its payloads carry into the buffer. */
export interface NamedToken {
  /** Goes into the buffer, metrics and tables: not secret. Several tokens may share one. */
  name: string;
  /** What clients have as `NIGHTWATCH_TOKEN`. */
  token: string;
  /**
   * Payloads that it may send; more are refused. A second's worth may come at once. Tokens that
   * share a name share its rates. @default no limit
   */
  payloadsPerSecond?: number | undefined;
  /** Bytes of payload that it may send; more are refused. @default no limit */
  bytesPerSecond?: number | undefined;
}

/** How much a client may ask of the server. Sizes are bytes, times are milliseconds. */
export interface IngestLimits {
  /** LENGTH of one frame: its payload and 11 bytes. 12 to 1 GiB. @default 32 MiB */
  maxFrameBytes?: number | undefined;
  /** Open connections; the next one is refused. @default 4_096 */
  maxConnections?: number | undefined;
  /**
   * Open connections from one address, 0 for no limit of its own: on loopback, behind a proxy and
   * behind NAT all clients have the same one. @default 0
   */
  maxConnectionsPerAddress?: number | undefined;
  /**
   * From opening a connection to its whole first header, or from a later frame's first byte to its
   * whole header, in milliseconds; with TLS also from opening to the end of the handshake.
   *
   * @default 5_000
   */
  headerTimeoutMs?: number | undefined;
  /** From the first byte of a frame to its last, however steadily it drips, in milliseconds. @default 30_000 */
  frameTimeoutMs?: number | undefined;
  /** From an answer to the next frame; also how long replies may stay unread, in milliseconds. @default 60_000 */
  idleTimeoutMs?: number | undefined;
  /**
   * Memory in frames that are being received or not yet answered, over all connections. When it is
   * used up, frames that need more than one read are refused and pipelining connections wait.
   *
   * @default 256 MiB
   */
  maxUnfinishedBytes?: number | undefined;
  /** Unanswered frames of one connection; beyond them it is not read from. @default 1_024 */
  maxPipelinedFrames?: number | undefined;
}

/** Options of {@link createIngestServer}. */
export interface IngestOptions extends ListenOptions {
  /** Where payloads go before they are acknowledged. Stays the caller's to start and close. */
  buffer: IngestBuffer;
  /**
   * Tokens that may send. A plain string is named by the first 7 characters of its hash. With none
   * at all every token may send, and payloads carry the name `default`.
   *
   * @default []
   */
  tokens?: Array<string | NamedToken> | undefined;
  /** Sizes, counts and times that bound what a client may ask for. */
  limits?: IngestLimits | undefined;
  /**
   * While its state is `closed`, payloads are refused; with a buffer that blocks when it is full,
   * connections wait instead. Stays the caller's to start and close.
   */
  pressure?: IngestPressure | undefined;
  /**
   * Servers that get a copy of each payload once it is stored. A copy may be lost, the local path
   * never waits for one.
   *
   * @default []
   */
  mirror?: MirrorUpstream[] | undefined;
  /**
   * Takes payloads over HTTP too: `POST /v1/ingest` with JSON or NDJSON, and OpenTelemetry's
   * `POST /v1/logs` and `/v1/traces`. `true` is port 2408.
   *
   * @default false
   */
  http?: boolean | IngestHttpOptions | undefined;
  /** Takes datagrams too, one frame in each; none is answered. @default none are taken */
  udp?: IngestUdpOptions | undefined;
  /** pino-compatible. @default pino at `info` on stderr */
  logger?: Logger | undefined;
  /** @default the process's prom-client registry */
  metrics?: MetricsRegistry | undefined;
}

const MIB = 1024 * 1024;
const timeoutMs = z.int().positive().max(86_400_000);

const limitsSchema = z
  .strictObject({
    maxFrameBytes: z
      .int()
      .min(12)
      .max(1024 * MIB)
      .default(32 * MIB),
    maxConnections: z.int().positive().default(4_096),
    maxConnectionsPerAddress: z.int().min(0).default(0),
    headerTimeoutMs: timeoutMs.default(5_000),
    frameTimeoutMs: timeoutMs.default(30_000),
    idleTimeoutMs: timeoutMs.default(60_000),
    maxUnfinishedBytes: z
      .int()
      .positive()
      .default(256 * MIB),
    maxPipelinedFrames: z.int().positive().default(1_024),
  })
  .refine(({ maxFrameBytes, maxUnfinishedBytes }) => maxFrameBytes <= maxUnfinishedBytes, {
    path: ["maxUnfinishedBytes"],
    error: "must be at least maxFrameBytes, or no frame of that size could arrive",
  });

const namedTokenSchema = z.strictObject({
  name: z.string().min(1),
  token: z.string().min(1).meta({ secret: true }),
  payloadsPerSecond: z.number().positive().optional(),
  bytesPerSecond: z.number().positive().optional(),
});

/** Validates {@link IngestOptions} and fills in defaults. */
export const ingestOptionsSchema = z.strictObject({
  buffer: z.custom<IngestBuffer>(
    (value) => hasMethods(value, "append", "hasRoom") && Reflect.has(value, "options"),
    "expected a buffer: createBuffer(...) of @millrace/core/buffer",
  ),
  ...listenShape,
  tokens: z
    .array(z.union([z.string().min(1).meta({ secret: true }), namedTokenSchema]))
    .refine(haveRatesInCommon, "tokens that share a name must have the same rates")
    .default([]),
  limits: limitsSchema.prefault({}),
  pressure: z
    .custom<IngestPressure>(
      (value) => hasMethods(value, "on") && Reflect.has(value, "pressure"),
      "expected createPressure(...) of @millrace/core",
    )
    .optional(),
  mirror: mirrorSchema.default([]),
  http: httpSchema,
  udp: udpSchema,
  logger: z.custom<Logger>().optional(),
  metrics: z.custom<MetricsRegistry>().optional(),
});

/** {@link IngestOptions} after defaults. */
export type ResolvedIngestOptions = z.output<typeof ingestOptionsSchema>;

/** {@link IngestLimits} after defaults. */
export type ResolvedIngestLimits = ResolvedIngestOptions["limits"];

function haveRatesInCommon(tokens: ReadonlyArray<string | NamedToken>): boolean {
  const named = tokens.filter((token) => typeof token !== "string");
  return named.every((token) =>
    named.every(
      (other) =>
        other.name !== token.name ||
        (other.payloadsPerSecond === token.payloadsPerSecond &&
          other.bytesPerSecond === token.bytesPerSecond),
    ),
  );
}

function hasMethods(value: unknown, ...names: string[]): value is object {
  return (
    typeof value === "object" &&
    value !== null &&
    names.every((name) => typeof Reflect.get(value, name) === "function")
  );
}
