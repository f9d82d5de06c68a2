import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Client } from "pg";
import { findProgram } from "../find-program.ts";
import { freePort } from "../free-port.ts";
import { createServiceFolder } from "../service-folder.ts";
import { startServiceProcess, type ServiceProcess } from "../service-process.ts";
import { giveTo, unprivilegedUser } from "../service-user.ts";

/** What {@link startPgBouncer} pools and how. */
export interface PgBouncerOptions {
  /** The server behind it: its URL, or anything that has one, such as a `PostgresService`. */
  readonly upstream: string | { readonly url: string };
  /** @default "transaction" */
  readonly poolMode?: "session" | "transaction" | "statement" | undefined;
  /** Connections to the server per database and user. @default 20 */
  readonly poolSize?: number | undefined;
  /** The loopback port. @default a free one */
  readonly port?: number | undefined;
  /** Settings by their names in `pgbouncer.ini`; they win over the defaults. */
  readonly settings?: Readonly<Record<string, string>> | undefined;
}

/** A PgBouncer that belongs to this process and ends with it. */
export interface PgBouncerService {
  /** Always `127.0.0.1`. */
  readonly host: string;
  readonly port: number;
  /** Another one after each start. */
  readonly pid: number;
  readonly isRunning: boolean;
  /** URL of a database of the upstream, through the pool. @param database - default the one of the upstream's URL */
  url(database?: string): string;
  /** Ends it at once, clients or not; harmless when it is not running. */
  stop(): Promise<void>;
  /** SIGKILL, as in a crash; resolves when the process is gone. */
  kill(): Promise<void>;
  /** Starts it again on the same port; does nothing while it runs. */
  start(): Promise<void>;
  /** Ends it and removes its files. */
  remove(): Promise<void>;
  /** The same as {@link PgBouncerService.remove}. */
  [Symbol.asyncDispose](): Promise<void>;
}

const HOST = "127.0.0.1";

/**
 * Starts a PgBouncer on loopback that ends with this process.
 *
 * Clients log in with the upstream's user and password; the same user may use the console, the database `pgbouncer`.
 *
 * @throws {@link ServiceError} `SERVICES_NOT_FOUND` when it is not installed, `SERVICES_START_FAILED` when it does not
 * come up.
 */
export async function startPgBouncer(options: PgBouncerOptions): Promise<PgBouncerService> {
  const program = await findProgram({
    title: "PgBouncer",
    names: ["pgbouncer"],
    aptPackage: "pgbouncer",
    brewFormula: "pgbouncer",
  });
  const service = new PgBouncer(program, options, options.port ?? (await freePort()));
  try {
    await service.start();
  } catch (error) {
    await service.remove();
    throw error;
  }
  return service;
}

class PgBouncer implements PgBouncerService {
  readonly host = HOST;
  readonly port: number;
  readonly #program: string;
  readonly #upstream: URL;
  readonly #user = unprivilegedUser();
  readonly #folder = createServiceFolder("pgbouncer", this.#user);
  #process: ServiceProcess | undefined;

  constructor(program: string, options: PgBouncerOptions, port: number) {
    this.#program = program;
    this.port = port;
    const { upstream } = options;
    this.#upstream = new URL(typeof upstream === "string" ? upstream : upstream.url);
    const userName = decodeURIComponent(this.#upstream.username);
    const password = decodeURIComponent(this.#upstream.password);
    this.#write("users.txt", `"${escape(userName)}" "${escape(password)}"\n`);
    this.#write(
      "pgbouncer.ini",
      configuration(this.#upstream, this.#path("users.txt"), options, port),
    );
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  get isRunning(): boolean {
    return this.#process?.isRunning ?? false;
  }

  url(database?: string): string {
    const url = new URL(this.#upstream);
    url.hostname = HOST;
    url.port = String(this.port);
    url.search = "";
    if (database !== undefined) url.pathname = encodeURIComponent(database);
    return url.href;
  }

  async start(): Promise<void> {
    if (this.isRunning) return;
    const pooler = startServiceProcess({
      title: "PgBouncer",
      program: this.#program,
      arguments: [this.#path("pgbouncer.ini")],
      logFile: this.#path("server.log"),
      user: this.#user,
      temporaryFolder: this.#folder.path,
    });
    this.#process = pooler;
    await pooler.ready(() => answers(this.url("pgbouncer")));
  }

  async stop(): Promise<void> {
    // Since 1.23 SIGTERM waits for the clients to leave, and SIGQUIT does what SIGTERM did.
    await this.#process?.stop(["SIGTERM", "SIGQUIT"], 500);
  }

  async kill(): Promise<void> {
    await this.#process?.kill();
  }

  async remove(): Promise<void> {
    await this.kill();
    this.#folder.remove();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.remove();
  }

  #path(name: string): string {
    return join(this.#folder.path, name);
  }

  #write(name: string, text: string): void {
    writeFileSync(this.#path(name), text, { mode: 0o600 });
    giveTo(this.#user, this.#path(name));
  }
}

function configuration(
  upstream: URL,
  userFile: string,
  { poolMode = "transaction", poolSize = 20, settings }: PgBouncerOptions,
  port: number,
): string {
  const all: Record<string, string> = {
    pool_mode: poolMode,
    default_pool_size: String(poolSize),
    max_client_conn: "500",
    // A server without a password lets everyone in, and so does its pooler then.
    auth_type: upstream.password === "" ? "trust" : "scram-sha-256",
    admin_users: decodeURIComponent(upstream.username),
    ignore_startup_parameters: "extra_float_digits,options",
    server_login_retry: "1",
    ...settings,
    listen_addr: HOST,
    listen_port: String(port),
    unix_socket_dir: "",
    auth_file: userFile,
  };
  return [
    "[databases]",
    `* = host=${upstream.hostname} port=${upstream.port || "5432"}`,
    "[pgbouncer]",
    ...Object.entries(all).map(([name, value]) => `${name} = ${value}`),
    "",
  ].join("\n");
}

function escape(text: string): string {
  return text.replaceAll('"', '""');
}

async function answers(consoleUrl: string): Promise<boolean> {
  const client = new Client({ connectionString: consoleUrl });
  client.on("error", () => undefined);
  try {
    await client.connect();
    await client.query("SHOW VERSION");
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}
