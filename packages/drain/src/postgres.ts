import { configInvalid } from "@millrace/core";
import * as z from "zod";

/** How the connection to PostgreSQL is encrypted; all PEM texts. */
export interface PostgresTls {
  /** Authority that the server's certificate is checked against. @default those of Node.js */
  readonly ca?: string | undefined;
  /** Certificate to show to the server, with its `key`. */
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  /** Name that the certificate must have. @default the host of the connection string */
  readonly serverName?: string | undefined;
  /** False takes any certificate: nobody listens in, but anybody may answer. @default true */
  readonly rejectUnauthorized?: boolean | undefined;
}

/** A PostgreSQL database as plain data: it crosses to the worker threads. */
export interface PostgresDestination {
  readonly kind: "postgres";
  readonly connectionString: string;
  readonly readConnectionString?: string | undefined;
  readonly ssl?: boolean | PostgresTls | undefined;
  readonly connectTimeoutMs: number;
  readonly batchTimeoutMs: number;
  readonly applicationName: string;
  readonly synchronousCommit: "on" | "off";
}

/** Options of {@link postgres}. */
export interface PostgresOptions {
  /**
   * `postgres://user:password@host:port/database`. `?sslmode=verify-full&sslrootcert=/path/ca.pem` asks for
   * TLS; node-postgres takes `require` and `verify-ca` for `verify-full`, and `no-verify` for libpq's `require`.
   */
  connectionString: string;
  /**
   * A replica for what only reads: listing dead letters. When it is away or behind in its tables the first
   * server answers. Never used for the ledger or for anything that is about to write.
   *
   * @default undefined: everything goes to `connectionString`
   */
  readConnectionString?: string | undefined;
  /**
   * TLS, instead of `sslmode` in the connection string: `true` checks the server's certificate and name;
   * applies to the replica too.
   *
   * @default as the connection string says: none
   */
  ssl?: boolean | PostgresTls | undefined;
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
    readConnectionString: z.string().min(1).meta({ secret: true }).optional(),
    ssl: z
      .union([
        z.boolean(),
        z.strictObject({
          ca: z.string().min(1).optional(),
          cert: z.string().min(1).optional(),
          key: z.string().min(1).meta({ secret: true }).optional(),
          serverName: z.string().min(1).optional(),
          rejectUnauthorized: z.boolean().optional(),
        }),
      ])
      .optional(),
    connectTimeoutMs: z.int().positive().max(MAX_TIMEOUT_MS),
    batchTimeoutMs: z.int().positive().max(MAX_TIMEOUT_MS),
    applicationName: z.string().min(1),
    synchronousCommit: z.enum(["on", "off"]),
  });

/**
 * Names a PostgreSQL database (14 or newer) as the destination of a drain pool.
 *
 * @throws {@link MillraceError} `CONFIG_INVALID` for `ssl` beside `sslmode` in a connection string.
 * @example
 * ```ts
 * import { postgres } from "@millrace/drain";
 *
 * const destination = postgres({ connectionString: "postgres://app@127.0.0.1:5432/telemetry" });
 * console.log(destination.applicationName);
 * ```
 */
export function postgres(options: PostgresOptions): PostgresDestination {
  const { readConnectionString, ssl } = options;
  assertOneWord(options);
  return {
    kind: "postgres",
    connectionString: options.connectionString,
    ...(readConnectionString !== undefined && { readConnectionString }),
    ...(ssl !== undefined && { ssl }),
    connectTimeoutMs: options.connectTimeoutMs ?? 5_000,
    batchTimeoutMs: options.batchTimeoutMs ?? 60_000,
    applicationName: options.applicationName ?? "millrace-drain",
    synchronousCommit: options.synchronousCommit ?? "on",
  };
}

/** node-postgres would follow the connection string and drop the certificates without a word. */
function assertOneWord({ ssl, connectionString, readConnectionString }: PostgresOptions): void {
  if (ssl === undefined) return;
  const problems = Object.entries({ connectionString, readConnectionString })
    .filter(([, value]) => /[?&]ssl[a-z]*=/.test(value ?? ""))
    .map(([path]) => ({
      path,
      problem: "has sslmode or the like beside the option ssl: keep one",
    }));
  if (problems.length > 0) throw configInvalid("postgres", problems);
}
