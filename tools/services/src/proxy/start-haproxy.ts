import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { findProgram } from "../find-program.ts";
import { freePort } from "../free-port.ts";
import { createServiceFolder } from "../service-folder.ts";
import { startServiceProcess } from "../service-process.ts";

/** What {@link startHaproxy} balances and how. */
export interface HaproxyOptions {
  /** The servers behind it, at least one. */
  readonly backends: readonly { readonly host: string; readonly port: number }[];
  /** The loopback port. @default a free one */
  readonly listenPort?: number | undefined;
  /** @default "leastconn" */
  readonly balance?: "leastconn" | "roundrobin" | "source" | undefined;
  /** @default "tcp" */
  readonly mode?: "tcp" | "http" | undefined;
}

/** What HAProxy tells about one backend. */
export interface HaproxyBackendStatus {
  readonly host: string;
  readonly port: number;
  readonly isUp: boolean;
  /** Connections now. */
  readonly connections: number;
  /** Connections since the start. */
  readonly totalConnections: number;
}

/** An HAProxy that belongs to this process and ends with it. */
export interface HaproxyService {
  /** Always `127.0.0.1`. */
  readonly host: string;
  readonly port: number;
  readonly pid: number;
  readonly isRunning: boolean;
  /** Asks HAProxy for its backends, in the order of the options. */
  stats(): Promise<HaproxyBackendStatus[]>;
  /** Ends it at once, its connections too, and removes its files. */
  stop(): Promise<void>;
  /** The same as {@link HaproxyService.stop}. */
  [Symbol.asyncDispose](): Promise<void>;
}

const HOST = "127.0.0.1";

/**
 * Starts an HAProxy on loopback that ends with this process.
 *
 * It probes each backend with a TCP connection every 250 ms and leaves out those that refused twice.
 *
 * @throws {@link ServiceError} `SERVICES_NOT_FOUND` when it is not installed, `SERVICES_START_FAILED` when it does not
 * come up.
 */
export async function startHaproxy(options: HaproxyOptions): Promise<HaproxyService> {
  const program = await findProgram({
    title: "HAProxy",
    names: ["haproxy"],
    aptPackage: "haproxy",
    brewFormula: "haproxy",
  });
  const port = options.listenPort ?? (await freePort());
  const statsPort = await freePort();
  const folder = createServiceFolder("haproxy");
  const configFile = join(folder.path, "haproxy.cfg");
  writeFileSync(configFile, configuration(options, port, statsPort));
  const balancer = startServiceProcess({
    title: "HAProxy",
    program,
    arguments: ["-f", configFile, "-db"],
    logFile: join(folder.path, "server.log"),
    temporaryFolder: folder.path,
  });
  const stats = (): Promise<HaproxyBackendStatus[]> => readStats(statsPort, options.backends);
  const stop = async (): Promise<void> => {
    await balancer.stop(["SIGTERM"], 2_000);
    folder.remove();
  };
  try {
    await balancer.ready(() =>
      stats().then(
        () => true,
        () => false,
      ),
    );
  } catch (error) {
    folder.remove();
    throw error;
  }
  return {
    host: HOST,
    port,
    pid: balancer.pid,
    get isRunning() {
      return balancer.isRunning;
    },
    stats,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

function configuration(
  { backends, balance = "leastconn", mode = "tcp" }: HaproxyOptions,
  port: number,
  statsPort: number,
): string {
  return [
    "defaults",
    "  timeout connect 5s",
    "  timeout client 1h",
    "  timeout server 1h",
    "  option redispatch",
    "listen main",
    `  bind ${HOST}:${port}`,
    `  mode ${mode}`,
    `  balance ${balance}`,
    ...backends.map(
      (backend, index) =>
        `  server ${index} ${backend.host}:${backend.port} check inter 250ms fall 2 rise 1`,
    ),
    "frontend stats",
    "  mode http",
    `  bind ${HOST}:${statsPort}`,
    "  stats enable",
    "  stats uri /",
    "",
  ].join("\n");
}

// The columns: https://docs.haproxy.org/2.6/management.html#9.1
async function readStats(
  statsPort: number,
  backends: HaproxyOptions["backends"],
): Promise<HaproxyBackendStatus[]> {
  const response = await fetch(`http://${HOST}:${statsPort}/;csv`);
  const [header = "", ...lines] = (await response.text()).replace(/^# /, "").split("\n");
  const columns = header.split(",");
  const rows = lines
    .map((line) => line.split(","))
    .map((cells) => new Map(columns.map((column, index) => [column, cells[index] ?? ""])));
  return backends.map(({ host, port }, index) => {
    const row = rows.find(
      (candidate) =>
        candidate.get("pxname") === "main" && candidate.get("svname") === String(index),
    );
    return {
      host,
      port,
      isUp: row?.get("status")?.startsWith("UP") ?? false,
      connections: Number(row?.get("scur") ?? 0),
      totalConnections: Number(row?.get("stot") ?? 0),
    };
  });
}
