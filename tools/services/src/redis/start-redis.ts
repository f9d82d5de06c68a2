import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { findProgram, type ProgramSource } from "../find-program.ts";
import { freePort } from "../free-port.ts";
import { ServiceError } from "../service-error.ts";
import { createServiceFolder } from "../service-folder.ts";
import { startServiceProcess, type ServiceProcess } from "../service-process.ts";
import { sendRedisCommand } from "./redis-command.ts";

/** Where and how {@link startRedis} runs Redis. */
export interface RedisOptions {
  /** The loopback port. @default a free one */
  readonly port?: number | undefined;
  /**
   * Settings by their names in `redis.conf`, such as `{ appendonly: "yes" }`. They win over the defaults: nothing is
   * written to disk, and `maxmemory-policy` is `noeviction`.
   */
  readonly settings?: Readonly<Record<string, string>> | undefined;
}

/** A Redis server that belongs to this process and ends with it. */
export interface RedisService {
  /** `redis://127.0.0.1:<port>`. */
  readonly url: string;
  /** Always `127.0.0.1`. */
  readonly host: string;
  readonly port: number;
  /** Another one after each start. */
  readonly pid: number;
  readonly isRunning: boolean;
  /** Stops the server and keeps its files for {@link RedisService.start}; harmless when it is not running. */
  stop(): Promise<void>;
  /** SIGKILL, as in a crash; resolves when the process is gone. */
  kill(): Promise<void>;
  /**
   * Starts the stopped or killed server again, on the same files and port; does nothing while it runs.
   *
   * @throws {@link ServiceError} `SERVICES_START_FAILED` when it does not come up.
   */
  start(): Promise<void>;
  /** Stops the server and removes its files. */
  remove(): Promise<void>;
  /** The same as {@link RedisService.remove}. */
  [Symbol.asyncDispose](): Promise<void>;
}

const LOWEST_VERSION = [6, 2] as const;
const REDIS: ProgramSource = {
  title: "Redis",
  names: ["redis-server"],
  aptPackage: "redis-server",
  brewFormula: "redis",
};

/**
 * Starts a Redis server on loopback that ends with this process.
 *
 * @throws {@link ServiceError} `SERVICES_NOT_FOUND` when Redis is missing or older than 6.2, `SERVICES_START_FAILED` when
 * it does not come up.
 */
export async function startRedis({ port, settings }: RedisOptions = {}): Promise<RedisService> {
  const program = await findProgram(REDIS);
  checkVersion(program);
  const service = new Redis(program, port ?? (await freePort()), settings ?? {});
  try {
    await service.start();
  } catch (error) {
    await service.remove();
    throw error;
  }
  return service;
}

function checkVersion(program: string): void {
  const { stdout } = spawnSync(program, ["--version"], { encoding: "utf8" });
  const [, version = "unknown"] = /v=([\d.]+)/.exec(stdout ?? "") ?? [];
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [lowestMajor, lowestMinor] = LOWEST_VERSION;
  if (major > lowestMajor || (major === lowestMajor && minor >= lowestMinor)) return;
  throw new ServiceError(
    "SERVICES_NOT_FOUND",
    `${program} is version ${version}; install Redis ${LOWEST_VERSION.join(".")} or newer.`,
  );
}

class Redis implements RedisService {
  readonly host = "127.0.0.1";
  readonly port: number;
  readonly #program: string;
  readonly #settings: Readonly<Record<string, string>>;
  readonly #folder = createServiceFolder("redis");
  #process: ServiceProcess | undefined;

  constructor(program: string, port: number, settings: Readonly<Record<string, string>>) {
    this.#program = program;
    this.port = port;
    this.#settings = settings;
  }

  get url(): string {
    return `redis://${this.host}:${this.port}`;
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  get isRunning(): boolean {
    return this.#process?.isRunning ?? false;
  }

  async start(): Promise<void> {
    if (this.isRunning) return;
    const folder = this.#folder.path;
    const settings = {
      save: "",
      appendonly: "no",
      "maxmemory-policy": "noeviction",
      ...this.#settings,
      bind: this.host,
      port: String(this.port),
      dir: folder,
      daemonize: "no",
    };
    const server = startServiceProcess({
      title: "Redis",
      program: this.#program,
      arguments: Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]),
      logFile: join(folder, "server.log"),
      temporaryFolder: folder,
    });
    this.#process = server;
    // An error while it loads its file is "-LOADING", and a refused connection is not the end either.
    await server.ready(async () => {
      const reply = await sendRedisCommand(this.port, "PING").catch(() => "");
      return reply === "+PONG" || reply.startsWith("-NOAUTH");
    });
  }

  async stop(): Promise<void> {
    await this.#process?.stop(["SIGTERM"], 10_000);
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
}
