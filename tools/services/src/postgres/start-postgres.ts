import { randomBytes } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Client } from "pg";
import { lookUpProgram } from "../find-program.ts";
import { freePort } from "../free-port.ts";
import { createServiceFolder } from "../service-folder.ts";
import { startServiceProcess, type ServiceProcess } from "../service-process.ts";
import { giveTo, unprivilegedUser, type ServiceUser } from "../service-user.ts";
import { findPostgresBinaries, type PostgresBinaries } from "./postgres-binaries.ts";
import {
  ensureCluster,
  freeSharedMemory,
  reachableDataDir,
  readPostmasterStatus,
  releaseCluster,
  SUPERUSER,
} from "./postgres-cluster.ts";
import type { PostgresOptions, PostgresService, PostgresStopMode } from "./postgres-options.ts";

const HOST = "127.0.0.1";
const STOP_STEP_MS = 10_000;
// https://www.postgresql.org/docs/current/server-shutdown.html
const STOP_SIGNALS = {
  smart: ["SIGTERM", "SIGINT", "SIGQUIT"],
  fast: ["SIGINT", "SIGQUIT"],
  immediate: ["SIGQUIT"],
} as const satisfies Record<PostgresStopMode, readonly NodeJS.Signals[]>;

/**
 * Starts a PostgreSQL server on loopback that ends with this process.
 *
 * It is as durable as PostgreSQL is by default (`fsync` and `synchronous_commit` are on), so a test may kill it and count
 * what survived. It also runs as root, under the user `postgres` or one made for it.
 *
 * ```ts
 * const postgres = await startPostgres();
 * const url = await postgres.createDatabase();
 * await postgres.kill();
 * await postgres.start();
 * await postgres.remove();
 * ```
 *
 * @throws {@link ServiceError} `SERVICES_NOT_FOUND` when there are no binaries, `SERVICES_START_FAILED` when the server
 * does not come up, with the end of its log.
 */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresService> {
  const user = unprivilegedUser();
  const binaries = await findPostgresBinaries(options.prefer ?? "embedded", user, options.major);
  const home = prepareHome(options, user);
  const password = ensureCluster(home.dataDir, binaries, user, {
    sync: home.temporaryFolder === undefined,
  });
  writeTls(home.dataDir, options.tls, user);
  const port = options.port ?? (await freePort());
  const service = new Postgres({ options, user, binaries, home, password, port });
  try {
    await service.start();
  } catch (error) {
    home.remove();
    throw error;
  }
  return service;
}

interface PostgresHome {
  readonly dataDir: string;
  readonly temporaryFolder: string | undefined;
  remove(): void;
}

function prepareHome(options: PostgresOptions, user: ServiceUser | undefined): PostgresHome {
  if (options.dataDir !== undefined) {
    return {
      dataDir: reachableDataDir(options.dataDir, user),
      temporaryFolder: undefined,
      remove: () => undefined,
    };
  }
  const folder = createServiceFolder("postgres", user, { keep: options.keepData ?? false });
  return {
    dataDir: join(folder.path, "data"),
    temporaryFolder: options.keepData === true ? undefined : folder.path,
    remove: () => folder.remove(),
  };
}

function writeTls(
  dataDir: string,
  tls: PostgresOptions["tls"],
  user: ServiceUser | undefined,
): void {
  if (tls === undefined) return;
  for (const [name, text] of [
    ["server.crt", tls.cert],
    ["server.key", tls.key],
  ] as const) {
    const file = join(dataDir, name);
    rmSync(file, { force: true });
    writeFileSync(file, text, { mode: 0o600 });
    giveTo(user, file);
  }
}

interface PostgresParts {
  readonly options: PostgresOptions;
  readonly user: ServiceUser | undefined;
  readonly binaries: PostgresBinaries;
  readonly home: PostgresHome;
  readonly password: string;
  readonly port: number;
}

class Postgres implements PostgresService {
  readonly host = HOST;
  readonly user = SUPERUSER;
  readonly #parts: PostgresParts;
  #process: ServiceProcess | undefined;

  constructor(parts: PostgresParts) {
    this.#parts = parts;
  }

  get port(): number {
    return this.#parts.port;
  }

  get password(): string {
    return this.#parts.password;
  }

  get version(): string {
    return this.#parts.binaries.version;
  }

  get binDir(): string {
    return this.#parts.binaries.binDir;
  }

  get dataDir(): string {
    return this.#parts.home.dataDir;
  }

  get url(): string {
    return this.#urlOf("postgres");
  }

  get psqlCommand(): string | undefined {
    const psql = lookUpProgram({ names: ["psql"] });
    return psql === undefined ? undefined : `psql ${this.url}`;
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  get isRunning(): boolean {
    return this.#process?.isRunning ?? false;
  }

  async start(): Promise<void> {
    if (this.isRunning) return;
    const { options, user, binaries, home, port } = this.#parts;
    const { dataDir, temporaryFolder } = home;
    await releaseCluster(dataDir);
    const server = startServiceProcess({
      title: "PostgreSQL",
      program: join(binaries.binDir, "postgres"),
      arguments: ["-D", dataDir, ...serverSettings(options, port)],
      logFile: join(temporaryFolder ?? dataDir, "server.log"),
      user,
      endSignal: "SIGQUIT",
      temporaryFolder,
    });
    this.#process = server;
    await server.ready(() => {
      const status = readPostmasterStatus(dataDir);
      return status?.pid === server.pid && status.state === "ready";
    });
  }

  async createDatabase(name = `test_${randomBytes(6).toString("hex")}`): Promise<string> {
    const client = new Client({ connectionString: this.url });
    await client.connect();
    try {
      await client.query(`CREATE DATABASE ${client.escapeIdentifier(name)}`);
    } finally {
      await client.end();
    }
    return this.#urlOf(name);
  }

  async stop(mode: PostgresStopMode = "fast"): Promise<void> {
    await this.#process?.stop(STOP_SIGNALS[mode], STOP_STEP_MS);
  }

  async kill(): Promise<void> {
    await this.#process?.kill();
  }

  async remove(): Promise<void> {
    const { home } = this.#parts;
    if (home.temporaryFolder === undefined) {
      await this.stop();
      return;
    }
    await this.stop("immediate");
    freeSharedMemory(home.dataDir);
    home.remove();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.remove();
  }

  #urlOf(database: string): string {
    const secret = this.password === "" ? "" : `:${encodeURIComponent(this.password)}`;
    return `postgresql://${SUPERUSER}${secret}@${HOST}:${this.port}/${encodeURIComponent(database)}`;
  }
}

function serverSettings({ settings, tls }: PostgresOptions, port: number): string[] {
  const all: Record<string, string> = {
    max_connections: "100",
    timezone: "UTC",
    ...(tls && { ssl: "on", ssl_cert_file: "server.crt", ssl_key_file: "server.key" }),
    ...settings,
    listen_addresses: HOST,
    port: String(port),
    // A socket file would need a folder with a short path, and nothing here uses one.
    unix_socket_directories: "",
    logging_collector: "off",
  };
  return Object.entries(all).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
}
