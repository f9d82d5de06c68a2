import { spawn } from "node:child_process";
import { rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { waitFor } from "@millrace/core/testing";
import { describe, expect, onTestFinished, test } from "vitest";
import { findSurvivors } from "../../src/state/survivors.ts";
import { systemClock } from "../../src/host/clock.ts";
import { StateKeeper } from "../../src/state/state-keeper.ts";
import { execArgv, fixture } from "../fixtures/fixture.ts";
import { isRunning, pidsOf, startSupervisor } from "../fixtures/start-supervisor.ts";
import { temporaryFolder } from "../fixtures/temporary-folder.ts";

function stateFile(): string {
  const folder = temporaryFolder();
  return join(folder, "state.json");
}

async function startAndKill(
  options: object,
  instances: number,
  stateId: string,
): Promise<number[]> {
  const child = spawn(
    process.execPath,
    [...execArgv, fixture("run-supervisor.ts"), JSON.stringify(options)],
    {
      stdio: ["ignore", "ignore", "inherit"],
    },
  );
  const found = await waitFor(() => {
    const survivors = findSurvivors(stateId, undefined);
    return survivors.length === instances ? survivors : undefined;
  });
  child.kill("SIGKILL");
  await new Promise((resolve) => {
    child.once("exit", resolve);
  });
  return found.map(({ pid }) => pid);
}

describe("adoption", () => {
  test.each(["a whole", "a truncated", "no"])(
    "the next supervisor takes over what survived, with %s state file, and doubles nothing",
    async (kind) => {
      const file = stateFile();
      const processes = {
        worker: { command: ["sleep", "1000"], scale: 5, onSupervisorDeath: "survive" as const },
      };
      const stateId = new StateKeeper(file, systemClock).id;
      const pids = await startAndKill({ processes, state: { file } }, 5, stateId);
      if (kind === "a truncated") {
        writeFileSync(file, '{"version":1,"inst');
        truncateSync(file, 10);
      }
      if (kind === "no") rmSync(file, { force: true });
      const supervisor = await startSupervisor({ processes, state: { file } });
      expect(new Set(Object.values(pidsOf(supervisor, "worker")))).toEqual(new Set(pids));
      expect(findSurvivors(stateId, undefined)).toHaveLength(5);
      expect(supervisor.process("worker").counts.ready).toBe(5);
      const [victim = 0] = pids;
      process.kill(victim, "SIGKILL");
      await waitFor(() => {
        const now = Object.values(pidsOf(supervisor, "worker"));
        return !now.includes(victim) && now.every((pid) => pid !== null);
      });
      await supervisor.close();
      expect(pids.filter(isRunning)).toEqual([]);
    },
  );

  test("a remembered pid that now belongs to a stranger is left alone", async () => {
    const file = stateFile();
    const stranger = spawn("sleep", ["1000"]);
    onTestFinished(() => void stranger.kill("SIGKILL"));
    const { readBootId } = await import("../../src/process/proc-stat.ts");
    writeFileSync(
      file,
      JSON.stringify({
        version: 1,
        bootId: readBootId(),
        processes: {},
        instances: [{ process: "worker", number: 1, pid: stranger.pid, startTicks: 1 }],
      }),
    );
    const supervisor = await startSupervisor({
      processes: { worker: { command: ["sleep", "1000"], onSupervisorDeath: "survive" } },
      state: { file },
    });
    expect(pidsOf(supervisor, "worker")["worker-1"]).not.toBe(stranger.pid);
    await supervisor.close();
    expect(isRunning(Number(stranger.pid))).toBe(true);
  });

  test("a scale that was changed at run time is remembered, until the configuration changes", async () => {
    const file = stateFile();
    const options = (scale: number) => ({
      processes: { worker: { command: ["sleep", "1000"], scale } },
      state: { file },
    });
    const first = await startSupervisor(options(2));
    await first.scale("worker", 4).done;
    await first.close();
    const second = await startSupervisor(options(2));
    expect(second.process("worker").scale).toBe(4);
    await second.close();
    const third = await startSupervisor(options(3));
    expect(third.process("worker").scale).toBe(3);
  });

  test("two supervisors cannot share a state file", async () => {
    const file = stateFile();
    await startSupervisor({ processes: {}, state: { file } });
    await expect(startSupervisor({ processes: {}, state: { file } })).rejects.toMatchObject({
      code: "SUPERVISOR_STATE_LOCKED",
    });
  });
});
