import * as z from "zod";
import type { Logger } from "../logger.ts";
import type { MetricsRegistry } from "../metrics.ts";

/** Options of {@link createBuffer}. */
export interface BufferOptions {
  /** The SQLite file; it and its folder are created when missing. */
  path: string;
  /** Payloads the file may hold, drained ones not yet purged included. @default 100_000 */
  maxRows?: number | undefined;
  /**
   * Payload bytes the file may hold; the last payload before the limit may go beyond it.
   *
   * @default 1 GiB
   */
  maxBytes?: number | undefined;
  /**
   * What an append to a full buffer does: `reject` fails at once with `BUFFER_FULL`, `block` waits
   * for room, `drop-oldest` drops the oldest payloads that no worker has claimed, unread.
   *
   * @default "reject"
   */
  whenFull?: "reject" | "block" | "drop-oldest" | undefined;
  /**
   * With `block`: payload bytes that may wait for room in memory; beyond them appends are rejected.
   *
   * @default 64 MiB
   */
  maxBlockedBytes?: number | undefined;
  /**
   * `process`: an acknowledged payload survives the death of the process. `power`: it survives
   * power loss too, for one fsync a group commit. @default "process"
   */
  durability?: "process" | "power" | undefined;
  /**
   * Free space on the file's disk below which appends are refused with `BUFFER_DISK_LOW`, in bytes;
   * 0 refuses them only once the disk is full.
   *
   * @default 5 % of the disk, at least 512 MiB
   */
  minFreeBytes?: number | undefined;
  /**
   * Size of the write-ahead log above which appends are refused with `BUFFER_FULL`, in bytes. It
   * stays far below unless something keeps a read transaction open on the file.
   *
   * @default 1 GiB
   */
  maxWalBytes?: number | undefined;
  /** Payloads in one group commit at most. @default 1_000 */
  groupMaxRows?: number | undefined;
  /** Bytes in one group commit at most, a single larger payload apart. @default 4 MiB */
  groupMaxBytes?: number | undefined;
  /** How long a group may wait for more while more keeps arriving, in milliseconds. @default 2 */
  groupMaxWaitMs?: number | undefined;
  /** pino-compatible. @default pino at `info` on stderr */
  logger?: Logger | undefined;
  /** @default the process's prom-client registry */
  metrics?: MetricsRegistry | undefined;
}

const MIB = 1024 * 1024;

/** Validates {@link BufferOptions} and fills in defaults. */
export const bufferOptionsSchema = z.strictObject({
  path: z
    .string()
    .trim()
    .min(1)
    .refine((path) => path !== ":memory:", "expected the path of a file"),
  maxRows: z.int().positive().default(100_000),
  maxBytes: z
    .int()
    .positive()
    .default(1024 * MIB),
  whenFull: z.enum(["reject", "block", "drop-oldest"]).default("reject"),
  maxBlockedBytes: z
    .int()
    .positive()
    .default(64 * MIB),
  durability: z.enum(["process", "power"]).default("process"),
  minFreeBytes: z.int().nonnegative().optional(),
  maxWalBytes: z
    .int()
    .positive()
    .default(1024 * MIB),
  groupMaxRows: z.int().positive().default(1_000),
  groupMaxBytes: z
    .int()
    .positive()
    .default(4 * MIB),
  groupMaxWaitMs: z.number().nonnegative().default(2),
  logger: z.custom<Logger>().optional(),
  metrics: z.custom<MetricsRegistry>().optional(),
});

/** {@link BufferOptions} after defaults. */
export type ResolvedBufferOptions = z.output<typeof bufferOptionsSchema>;
