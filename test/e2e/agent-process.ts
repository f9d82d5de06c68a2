import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { freePort } from "@millrace/services";
import { findImbalance } from "../setup/books.ts";

/** How often its metrics are read to see whether the books balance, in milliseconds. */
const SCRAPE_INTERVAL_MS = 50;
const ENTRY = join(import.meta.dirname, "../../examples/telemetry-agent/main.ts");

export interface AgentSettings {
  databaseUrl: string;
  /** @default in a folder of its own */
  bufferPath?: string | undefined;
  token: string;
  env?: Record<string, string> | undefined;
  /** JavaScript to run, on what `npm run build` has made of the packages. @default the example, on sources */
  builtEntry?: string | undefined;
  /** @default 50 */
  scrapeIntervalMs?: number | undefined;
}

/** The telemetry agent in a process of its own, on ports that stay the same when it restarts. */
export class AgentProcess {
  readonly port: number;
  readonly opsPort: number;
  /** Everything it has written, over all restarts. */
  readonly lines: string[] = [];
  readonly bufferPath: string;
  readonly #settings: AgentSettings;
  readonly #folder: string | undefined;
  #child: ChildProcess | undefined;
  #imbalance: string | undefined;

  private constructor(settings: AgentSettings, port: number, opsPort: number) {
    this.#settings = settings;
    if (settings.bufferPath === undefined) {
      this.#folder = mkdtempSync(join(tmpdir(), "millrace-agent-"));
      this.bufferPath = join(this.#folder, "buffer.db");
    } else {
      this.bufferPath = settings.bufferPath;
    }
    this.port = port;
    this.opsPort = opsPort;
  }

  static async create(settings: AgentSettings): Promise<AgentProcess> {
    return new AgentProcess(settings, await freePort(), await freePort());
  }

  get address(): { host: string; port: number } {
    return { host: "127.0.0.1", port: this.port };
  }

  get pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new Error("the agent does not run");
    return pid;
  }

  /** Resolves when it listens. */
  async start(moreEnv: Record<string, string> = {}): Promise<void> {
    const { databaseUrl, token, env, builtEntry } = this.#settings;
    const entry =
      builtEntry === undefined ? ["--conditions=@millrace/source", ENTRY] : [builtEntry];
    const child = spawn(process.execPath, entry, {
      env: {
        PATH: process.env["PATH"],
        NODE_COMPILE_CACHE:
          builtEntry === undefined ? process.env["NODE_COMPILE_CACHE"] : undefined,
        MILLRACE_DATABASE_URL: databaseUrl,
        MILLRACE_BUFFER_PATH: this.bufferPath,
        MILLRACE_INGEST_PORT: String(this.port),
        MILLRACE_INGEST_TOKENS: token,
        MILLRACE_OPS_PORT: String(this.opsPort),
        // Whatever the machine's disk has left: what a full one does is the soak test's to show.
        MILLRACE_BUFFER_MIN_FREE_BYTES: "0",
        ...env,
        ...moreEnv,
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    createInterface({ input: child.stderr }).on("line", (line) => this.lines.push(line));
    const output = createInterface({ input: child.stdout });
    output.on("line", (line) => this.lines.push(line));
    const listening = new Promise<void>((resolve) => {
      output.on("line", (line) => {
        if (line.startsWith("listening on ")) resolve();
      });
    });
    const ended = once(child, "exit").then(([code, signal]) => {
      throw new Error(`the agent ended (${code ?? signal}):\n${this.lines.slice(-20).join("\n")}`);
    });
    await Promise.race([listening, ended]);
    ended.catch(() => {});
    this.#watchBooks(child);
  }

  /** What it answers to a scrape. */
  async metrics(): Promise<string> {
    return (await fetch(`http://127.0.0.1:${this.opsPort}/metrics`)).text();
  }

  /** The value of a metric without labels; NaN when there is none of that name. */
  async readMetric(name: string): Promise<number> {
    const [, value] = new RegExp(`^${name} (\\d+)$`, "m").exec(await this.metrics()) ?? [];
    return Number(value ?? Number.NaN);
  }

  /** Whether everything that it took has left the buffer. */
  async hasEmptyBuffer(): Promise<boolean> {
    return (await this.readMetric("millrace_buffer_rows")) === 0;
  }

  #watchBooks(child: ChildProcess): void {
    const scrape = async () => {
      this.#imbalance ??= findImbalance(await this.metrics());
    };
    // It may be killed or stopped in the middle of the answer.
    const { scrapeIntervalMs = SCRAPE_INTERVAL_MS } = this.#settings;
    const timer = setInterval(() => void scrape().catch(() => {}), scrapeIntervalMs).unref();
    child.once("exit", () => clearInterval(timer));
  }

  /** Resolves with the signal that ended it. */
  async ended(): Promise<NodeJS.Signals | null> {
    const child = this.#child;
    if (child === undefined) return null;
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    return child.signalCode;
  }

  /** SIGKILL; resolves when it is gone. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** SIGKILL, and its own folder goes too. */
  async remove(): Promise<void> {
    try {
      await this.kill();
    } finally {
      if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true, force: true });
    }
  }

  /** SIGTERM; @returns its exit code. */
  async stop(): Promise<number | null> {
    return this.#end("SIGTERM");
  }

  async #end(signal: NodeJS.Signals): Promise<number | null> {
    if (this.#imbalance !== undefined) {
      throw new Error(`the agent's books did not balance: ${this.#imbalance}`);
    }
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return null;
    const exited = once(child, "exit");
    child.kill(signal);
    const [code] = (await exited) as [number | null];
    return code;
  }
}
