import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Manager } from "./manager.ts";

const run = promisify(execFile);
const VERSION = "7.0.4";

/** PM2 with a home of its own; its daemon is started before anything is measured. */
export class Pm2Manager implements Manager {
  readonly name = "pm2";
  readonly #home = mkdtempSync(join(tmpdir(), "bench-pm2-"));
  readonly #bin: string;

  constructor(cache: string) {
    this.#bin = join(cache, "node_modules/pm2/bin/pm2");
  }

  static async install(cache: string): Promise<void> {
    if (existsSync(join(cache, "node_modules/pm2/bin/pm2"))) return;
    await run("npm", ["install", "--prefix", cache, "--no-audit", "--no-fund", `pm2@${VERSION}`]);
  }

  /** Starts the daemon alone, so that its own start isn't measured. */
  async prepare(): Promise<void> {
    await this.#pm2("ping");
  }

  async startSleepers(count: number, seconds: string): Promise<void> {
    await this.#start({
      script: "/bin/sleep",
      args: seconds,
      interpreter: "none",
      exec_mode: "fork",
      instances: count,
    });
  }

  async startServers(program: string): Promise<number> {
    const port = 20_000 + (process.pid % 10_000);
    await this.#start({
      script: program,
      exec_mode: "cluster",
      instances: 3,
      kill_timeout: 8_000,
      wait_ready: true,
      env: { PORT: String(port) },
    });
    return port;
  }

  async roll(): Promise<void> {
    await this.#pm2("reload", "all");
  }

  pid(): number {
    return Number(readFileSync(join(this.#home, "pm2.pid"), "utf8"));
  }

  async stop(): Promise<void> {
    await this.#pm2("kill").catch(() => {});
    rmSync(this.#home, { recursive: true, force: true });
  }

  async #start(app: object): Promise<void> {
    const file = join(this.#home, "apps.json");
    writeFileSync(file, JSON.stringify([{ name: "app", ...app }]));
    await this.#pm2("start", file);
  }

  async #pm2(...args: string[]): Promise<void> {
    await run(process.execPath, [this.#bin, ...args], {
      env: { ...process.env, PM2_HOME: this.#home, PM2_DISABLE_VERSION_CHECK: "true" },
      maxBuffer: 64_000_000,
    });
  }
}
