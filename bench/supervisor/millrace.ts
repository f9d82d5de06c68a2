import { type ChildProcess, spawn } from "node:child_process";
import type { Manager } from "./manager.ts";

/** Ours: a host program with nothing but a supervisor in it, told over the management API. */
export class MillraceManager implements Manager {
  readonly name = "millrace";
  #child: ChildProcess | undefined;
  #url = "";

  async prepare(seconds: string): Promise<void> {
    await this.#start({
      command: ["sleep", seconds],
      scale: 1,
      maxScale: 1_000,
      backoff: { minUptimeMs: 0 },
    });
    // As PM2's ping, which starts its daemon: the first request loads what requests need.
    await fetch(`${this.#url}/api/v1/health`);
  }

  async startSleepers(count: number): Promise<void> {
    await fetch(`${this.#url}/api/v1/processes/app/scale`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ desired: count }),
    });
  }

  async startServers(program: string): Promise<number> {
    await this.#start({
      module: program,
      scale: 3,
      listen: 0,
      health: { readiness: { type: "ipc" } },
    });
    const process = (await (await fetch(`${this.#url}/api/v1/processes/app`)).json()) as {
      instances: Array<{ port: number }>;
    };
    return process.instances[0]?.port ?? 0;
  }

  async roll(): Promise<void> {
    const accepted = await fetch(`${this.#url}/api/v1/processes/app/restart`, { method: "POST" });
    const { operation } = (await accepted.json()) as { operation: string };
    for (;;) {
      const response = await fetch(`${this.#url}/api/v1/operations/${operation}`);
      const { state } = (await response.json()) as { state: string };
      if (state === "succeeded") return;
      if (state !== "pending" && state !== "running") throw new Error(`the restart ${state}`);
      await new Promise((resolve) => {
        setTimeout(resolve, 20);
      });
    }
  }

  pid(): number {
    return this.#child?.pid ?? 0;
  }

  async stop(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = new Promise((resolve) => {
      child.once("exit", resolve);
    });
    child.kill("SIGTERM");
    await exited;
  }

  async #start(app: object): Promise<void> {
    const host = new URL("millrace-host.js", import.meta.url).pathname;
    const child = spawn(process.execPath, [host, JSON.stringify(app)], {
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, NODE_OPTIONS: "" },
    });
    this.#child = child;
    this.#url = await new Promise((resolve, reject) => {
      child.stdout?.once("data", (chunk: Buffer) => resolve(chunk.toString().trim()));
      child.once("exit", () => reject(new Error("the supervisor ended")));
    });
  }
}
