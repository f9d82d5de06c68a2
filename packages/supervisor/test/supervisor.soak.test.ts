import { spawn } from "node:child_process";
import { setTimeout as pause } from "node:timers/promises";
import { waitFor } from "@millrace/core/testing";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { listPids, readEnvironment, readProcStat } from "../src/process/proc-stat.ts";
import { systemClock } from "../src/host/clock.ts";
import { StateKeeper } from "../src/state/state-keeper.ts";
import { findSurvivors } from "../src/state/survivors.ts";
import { execArgv, fixture } from "./fixtures/fixture.ts";
import { pidsOf, startSupervisor } from "./fixtures/start-supervisor.ts";

// MILLRACE_SOAK=1 asks for the numbers of the specification, minutes on a busy machine; a larger
// number is the number of kills. MILLRACE_SOAK_SEED repeats the moments of an earlier run.
const SOAK = Number(process.env["MILLRACE_SOAK"] ?? 0);
const FULL = SOAK > 0;
const KILLS = SOAK > 1 ? SOAK : FULL ? 100 : 5;
const SEED = Number(process.env["MILLRACE_SOAK_SEED"] ?? Date.now() % 1e9);
const MOMENTS_MS = fc.sample(fc.integer({ min: 0, max: 300 }), { numRuns: KILLS, seed: SEED });
const INSTANCES = FULL ? 100 : 20;
const CYCLES = FULL ? 10_000 : 300;

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
      const file = `/tmp/millrace-soak-${process.pid}/state.json`;
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
    `${CYCLES} crashes leave no descriptor and no handle behind`,
    async () => {
      const supervisor = await startSupervisor({
        processes: {
          worker: {
            command: ["true"],
            scale: 4,
            backoff: { baseMs: 0, capMs: 0, minUptimeMs: 0 },
          },
        },
      });
      const restarts = (): number =>
        supervisor.process("worker").instances.reduce((sum, one) => sum + one.restarts, 0);
      await waitFor(() => restarts() > 50);
      const before = process.getActiveResourcesInfo().length;
      await waitFor(() => restarts() > CYCLES, { timeoutMs: CYCLES * 50 });
      expect(process.getActiveResourcesInfo().length).toBeLessThan(before + 30);
    },
    CYCLES * 60,
  );
});
