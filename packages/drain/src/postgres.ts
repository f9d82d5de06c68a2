import { z } from "zod";

/** A PostgreSQL database as plain data: it crosses to the worker threads. */
export interface PostgresDestination {
  readonly kind: "postgres";
  readonly connectionString: string;
  readonly connectTimeoutMs: number;
  readonly batchTimeoutMs: number;
  readonly applicationName: string;
  readonly synchronousCommit: "on" | "off";
}

/** Options of {@link postgres}. */
export interface PostgresOptions {
  /** `postgres://user:password@host:port/database`, with `sslmode` and the like as libpq takes them. */
  connectionString: string;
  /** How long connecting may take, in milliseconds. @default 5_000 */
  connectTimeoutMs?: number | undefined;
  /**
   * How long PostgreSQL may take for one batch, or for one piece of a batch that lands piece by
   * piece, before the connection is given up and the batch tried again, in milliseconds; up to
   * 2,147,483,647. @default 60_000
   */
  batchTimeoutMs?: number | undefined;
  /** Shown in `pg_stat_activity`. @default "millrace-drain" */
  applicationName?: string | undefined;
  /**
   * `on`: a batch is on disk when its transaction ends. `off`: transactions do not wait for the
   * disk, and batches leave the buffer some 200 ms later, behind one commit that did. Nothing is
   * lost either way; `off` pays with small batches on slow disks, see bench/README.md.
   *
   * @default "on"
   */
  synchronousCommit?: "on" | "off" | undefined;
}

/** What Node's timers and PostgreSQL's `statement_timeout` can hold. */
const MAX_TIMEOUT_MS = 2_147_483_647;

export const postgresDestinationSchema: z.ZodType<PostgresDestination, PostgresDestination> =
  z.strictObject({
    kind: z.literal("postgres"),
    connectionString: z.string().min(1).meta({ secret: true }),
    connectTimeoutMs: z.int().positive().max(MAX_TIMEOUT_MS),
    batchTimeoutMs: z.int().positive().max(MAX_TIMEOUT_MS),
    applicationName: z.string().min(1),
    synchronousCommit: z.enum(["on", "off"]),
  });

/**
 * Names a PostgreSQL database (14 or newer) as the destination of a drain pool.
 *
 * @example
 * ```ts
 * import { postgres } from "@millrace/drain";
 *
 * const destination = postgres({ connectionString: "postgres://app@127.0.0.1:5432/telemetry" });
 * console.log(destination.applicationName);
 * ```
 */
export function postgres(options: PostgresOptions): PostgresDestination {
  return {
    kind: "postgres",
    connectionString: options.connectionString,
    connectTimeoutMs: options.connectTimeoutMs ?? 5_000,
    batchTimeoutMs: options.batchTimeoutMs ?? 60_000,
    applicationName: options.applicationName ?? "millrace-drain",
    synchronousCommit: options.synchronousCommit ?? "on",
  };
}
