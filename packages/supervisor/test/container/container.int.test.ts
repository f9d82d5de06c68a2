import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { waitFor } from "@millrace/core/testing";
import { describe, expect, onTestFinished, test } from "vitest";
import { enterContainer } from "../../src/container/enter-container.ts";
import { execArgv } from "../fixtures/fixture.ts";

/** A program in a pid namespace of its own, where it is process 1. */
function inContainer(program: string) {
  const folder = mkdtempSync(join(import.meta.dirname, ".container-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "main.ts");
  writeFileSync(file, program);
  const args = ["--pid", "--fork", "--mount-proc", process.execPath, ...execArgv, file];
  return { args };
}

const ENTER = 'import { enterContainer } from "@millrace/supervisor/container"; enterContainer();';

describe("process 1 of a container", () => {
  test("elsewhere enterContainer does nothing", () => {
    expect(enterContainer()).toBe(false);
  });

  test("zombies are reaped and the exit code is that of the program", () => {
    const { args } = inContainer(`${ENTER}
      import { execFileSync, spawnSync } from "node:child_process";
      import { readdirSync, readFileSync } from "node:fs";
      if (process.pid === 1) throw new Error("still process 1");
      for (let index = 0; index < 20; index++) spawnSync("sh", ["-c", "(sleep 0.1 &) ; exit 0"]);
      setTimeout(() => {
        const zombies = readdirSync("/proc").filter((pid) => {
          try { return readFileSync("/proc/" + pid + "/stat", "latin1").includes(") Z "); } catch { return false; }
        });
        process.exit(zombies.length === 0 ? 42 : 1);
      }, 700);
    `);
    expect(spawnSync("unshare", args, { encoding: "utf8" }).status).toBe(42);
  });

  test("signals reach the program", async () => {
    const { args } = inContainer(`${ENTER}
      const timer = setInterval(() => {}, 1000);
      for (const signal of ["SIGUSR1", "SIGUSR2", "SIGHUP", "SIGINT"]) process.on(signal, () => console.log(signal));
      process.on("SIGTERM", () => { console.log("SIGTERM"); process.exitCode = 7; clearInterval(timer); });
      console.log("up");
    `);
    const child = spawn("unshare", args, { stdio: ["ignore", "pipe", "inherit"] });
    const code = new Promise((resolve) => {
      child.once("exit", resolve);
    });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
    await waitFor(() => output.includes("up"));
    const { readChildPids } = await import("../../src/process/proc-stat.ts");
    const [init = 0] = readChildPids(Number(child.pid));
    for (const signal of ["SIGUSR1", "SIGUSR2", "SIGHUP", "SIGINT", "SIGTERM"] as const) {
      process.kill(init, signal);
      await waitFor(() => output.includes(signal));
    }
    expect(await code).toBe(7);
  });
});
