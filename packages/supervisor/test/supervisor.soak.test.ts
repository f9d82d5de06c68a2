import { execFile, spawn } from "node:child_process";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { join } from "node:path";
import { waitFor } from "@millrace/core/testing";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { listPids, readEnvironment, readProcStat } from "../src/process/proc-stat.ts";
import { systemClock } from "../src/host/clock.ts";
import { StateKeeper } from "../src/state/state-keeper.ts";
import { findSurvivors } from "../src/state/survivors.ts";
import { execArgv, fixture, nodeCommand } from "./fixtures/fixture.ts";
import { pidsOf, startSupervisor } from "./fixtures/start-supervisor.ts";
import { temporaryFolder } from "./fixtures/temporary-folder.ts";

// MILLRACE_SOAK=1 asks for the numbers of the specification, minutes on a busy machine; a larger
// number is the number of kills. MILLRACE_SOAK_SEED repeats the moments of an earlier run.
const SOAK = Number(process.env["MILLRACE_SOAK"] ?? 0);
const FULL = SOAK > 0;
const KILLS = SOAK > 1 ? SOAK : FULL ? 100 : 5;
const SEED = Number(process.env["MILLRACE_SOAK_SEED"] ?? Date.now() % 1e9);
const MOMENTS_MS = fc.sample(fc.integer({ min: 0, max: 300 }), { numRuns: KILLS, seed: SEED });
const INSTANCES = FULL ? 100 : 20;
const CYCLES = FULL ? 10_000 : 500;
const OUTPUT_BYTES = FULL ? 1e9 : 1e8;

/** What the fixture measures-leaks says. */
interface Left {
  heapBytes: number;
  descriptors: number;
  resources: string[];
}

function alive(mark: string): number[] {
  return listPids().filter(
    (pid) => readEnvironment(pid).get("SOAK_TEST") === mark && readProcStat(pid)?.state !== "Z",
  );
}

describe("soak", () => {
  test(
    `killed ${KILLS} times at random moments (seed ${SEED}) a supervisor leaves no orphan`,
    async () => {
      for (let round = 0; round < KILLS; round++) {
        const mark = `soak-${process.pid}-${round}`;
        const processes = {
          plain: { command: ["sleep", "1000"], scale: 10 },
          tree: { command: [fixture("forks-grandchildren.sh"), "daemon"], scale: 3 },
          crashing: { command: ["sh", "-c", "exit 1"], scale: 3, backoff: { baseMs: 1, capMs: 5 } },
        };
        const args = [...execArgv, fixture("run-supervisor.ts"), JSON.stringify({ processes })];
        const child = spawn(process.execPath, args, {
          stdio: "ignore",
          env: { ...process.env, SOAK_TEST: mark },
        });
        await waitFor(() => alive(mark).length > 1);
        await pause(MOMENTS_MS[round] ?? 0);
        child.kill("SIGKILL");
        await expect.poll(() => alive(mark), { timeout: 5_000 }).toEqual([]);
      }
    },
    KILLS * 20_000,
  );

  test(
    `killed ${KILLS} times (seed ${SEED}), survivors are adopted and never doubled`,
    async () => {
      const file = join(temporaryFolder(), "state.json");
      const stateId = new StateKeeper(file, systemClock).id;
      const processes = {
        worker: { command: ["sleep", "1000"], scale: 10, onSupervisorDeath: "survive" as const },
      };
      const args = [
        ...execArgv,
        fixture("run-supervisor.ts"),
        JSON.stringify({ processes, state: { file } }),
      ];
      for (let round = 0; round < KILLS; round++) {
        const child = spawn(process.execPath, args, { stdio: "ignore" });
        await waitFor(() => findSurvivors(stateId, undefined).length > 0);
        await pause(MOMENTS_MS[round] ?? 0);
        child.kill("SIGKILL");
        await new Promise((resolve) => {
          child.once("exit", resolve);
        });
        expect(findSurvivors(stateId, undefined).length).toBeLessThanOrEqual(10);
      }
      const supervisor = await startSupervisor({ processes, state: { file } });
      await supervisor.whenReady();
      const pids = findSurvivors(stateId, undefined).map(({ pid }) => pid);
      expect(new Set(Object.values(pidsOf(supervisor, "worker")))).toEqual(new Set(pids));
      expect(pids).toHaveLength(10);
    },
    KILLS * 20_000,
  );

  test(`${INSTANCES} instances come up, and go, together`, async () => {
    const supervisor = await startSupervisor({
      processes: { worker: { command: ["sleep", "1000"], scale: 1, maxScale: INSTANCES } },
    });
    const outcome = await supervisor.scale("worker", INSTANCES).done;
    expect(outcome.state).toBe("succeeded");
    await supervisor.whenReady();
    await supervisor.scale("worker", 0).done;
    expect(supervisor.process("worker").instances).toEqual([]);
  });

  test(
    `${CYCLES} crashes and ${OUTPUT_BYTES / 1e6} MB of output leave no heap, descriptor or timer behind`,
    async () => {
      const [file = "", ...args] = nodeCommand(
        "measures-leaks.ts",
        String(CYCLES),
        String(OUTPUT_BYTES),
      );
      const { stdout } = await promisify(execFile)(file, ["--expose-gc", ...args]);
      const { before, after } = JSON.parse(stdout) as Record<"before" | "after", Left>;
      const grownMib = (after.heapBytes - before.heapBytes) / 2 ** 20;
      console.log(`the heap has grown by ${grownMib.toFixed(2)} MiB`);
      expect(grownMib).toBeLessThan(2);
      expect(after.descriptors).toBe(before.descriptors);
      expect(after.resources).toEqual(before.resources);
    },
    CYCLES * 60 + 120_000,
  );

  test(`${INSTANCES} children of every kind are gone two seconds after their supervisor was killed`, async () => {
    const mark = `soak-${process.pid}-many`;
    const share = INSTANCES / 4;
    const processes = {
      plain: { command: ["sleep", "1000"], scale: share * 2 },
      node: { command: nodeCommand("forever.ts"), scale: share / 5 },
      tree: { command: [fixture("forks-grandchildren.sh"), "daemon"], scale: share },
      stubborn: { command: [fixture("ignores-term.sh")], scale: (share * 4) / 5 },
    };
    const args = [...execArgv, fixture("run-supervisor.ts"), JSON.stringify({ processes })];
    const child = spawn(process.execPath, args, {
      stdio: ["ignore", "pipe", "ignore"],
      env: { ...process.env, SOAK_TEST: mark },
    });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
    await waitFor(() => output.includes("up"), { timeoutMs: 60_000 });
    await waitFor(() => alive(mark).length > INSTANCES + share * 3);
    const killedAt = performance.now();
    child.kill("SIGKILL");
    await expect.poll(() => alive(mark), { timeout: 20_000 }).toEqual([]);
    const tookMs = performance.now() - killedAt;
    console.log(`${INSTANCES} children and theirs were gone after ${Math.round(tookMs)} ms`);
    expect(tookMs).toBeLessThan(FULL ? 2_000 : 10_000);
  });

  test(`${INSTANCES} survivors are adopted at once, none of them restarted or doubled`, async () => {
    const file = join(temporaryFolder(), "state.json");
    const stateId = new StateKeeper(file, systemClock).id;
    const processes = {
      worker: {
        command: ["sleep", "1000"],
        scale: INSTANCES,
        onSupervisorDeath: "survive" as const,
      },
    };
    const options = JSON.stringify({ processes, state: { file } });
    const child = spawn(process.execPath, [...execArgv, fixture("run-supervisor.ts"), options], {
      stdio: "ignore",
    });
    await waitFor(() => findSurvivors(stateId, undefined).length === INSTANCES, {
      timeoutMs: 60_000,
    });
    child.kill("SIGKILL");
    await new Promise((resolve) => {
      child.once("exit", resolve);
    });
    const before = findSurvivors(stateId, undefined).map(({ pid }) => pid);
    const startedAt = performance.now();
    const supervisor = await startSupervisor({ processes, state: { file } });
    await supervisor.whenReady();
    const tookMs = performance.now() - startedAt;
    console.log(`${INSTANCES} survivors were adopted after ${Math.round(tookMs)} ms`);
    expect(new Set(Object.values(pidsOf(supervisor, "worker")))).toEqual(new Set(before));
    expect(findSurvivors(stateId, undefined)).toHaveLength(INSTANCES);
    const { instances } = supervisor.process("worker");
    expect(instances.every(({ restarts }) => restarts === 0)).toBe(true);
    expect(tookMs).toBeLessThan(FULL ? 1_000 : 4_000);
    const victim = Number(instances[0]?.pid);
    process.kill(victim, "SIGKILL");
    await waitFor(() => !Object.values(pidsOf(supervisor, "worker")).includes(victim));
    await supervisor.scale("worker", 2).done;
    expect(findSurvivors(stateId, undefined)).toHaveLength(2);
  });
});
