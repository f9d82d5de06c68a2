import { spawn } from "node:child_process";
import { join } from "node:path";
import { waitFor } from "@millrace/core/testing";
import { expect, test } from "vitest";
import { systemClock } from "../../src/host/clock.ts";
import { StrayFinder } from "../../src/orphans/stray-finder.ts";
import { readProcFile } from "../../src/process/proc-file.ts";
import { listPids, readEnvironment } from "../../src/process/proc-stat.ts";
import { execArgv, fixture } from "../fixtures/fixture.ts";
import { isRunning, startSupervisor } from "../fixtures/start-supervisor.ts";
import { temporaryFolder } from "../fixtures/temporary-folder.ts";

/** Pids of what runs with this mark in its environment, by the instance that it comes from. */
function marked(mark: string): Record<string, number[]> {
  const found: Record<string, number[]> = {};
  for (const pid of listPids()) {
    const environment = readEnvironment(pid);
    if (environment.get("STRAY_TEST") !== mark || !isRunning(pid)) continue;
    (found[environment.get("MILLRACE_INSTANCE_ID") ?? ""] ??= []).push(pid);
  }
  return found;
}

/** How many there are, once all have become the program that they are to stay. */
function counts(mark: string): Record<string, number> | undefined {
  const found = Object.entries(marked(mark));
  const isSettled = found.every(([, pids]) => pids.every((pid) => commandOf(pid) === "sleep"));
  if (!isSettled) return undefined;
  return Object.fromEntries(found.map(([instance, pids]) => [instance, pids.length]));
}

function commandOf(pid: number): string | undefined {
  return readProcFile(`/proc/${pid}/cmdline`)?.toString().split("\0")[0];
}

test("a daemon ends with the instance that started it, whatever ends that, and no other does", async () => {
  const mark = `strays-${process.pid}`;
  const env = { STRAY_TEST: mark };
  const supervisor = await startSupervisor({
    processes: {
      polite: { command: [fixture("leaves-daemon.sh")], scale: 2, env },
      stubborn: {
        command: [fixture("leaves-daemon.sh"), "stubborn"],
        stop: { timeoutMs: 300 },
        env,
      },
      other: { command: [fixture("leaves-daemon.sh")], env },
    },
  });
  const killed: string[] = [];
  supervisor.on("instance:stopped", (stopped) => {
    if (stopped.killed) killed.push(stopped.instance);
  });
  const all = { "polite-1": 2, "polite-2": 2, "stubborn-1": 2, "other-1": 2 };
  await expect.poll(() => counts(mark), { timeout: 5_000 }).toEqual(all);
  const { "other-1": others, ...before } = marked(mark);
  const { "polite-2": _, ...left } = all;

  await supervisor.scale("polite", 1).done;
  expect(counts(mark)).toEqual(left);
  await Promise.all(["polite", "stubborn"].map((name) => supervisor.restart(name).done));
  expect(Object.values(before).flat().filter(isRunning)).toEqual([]);
  await expect.poll(() => counts(mark), { timeout: 5_000 }).toEqual(left);
  // At the deadline alone what ignores the signal is killed.
  expect(killed).toEqual(["stubborn-1"]);

  const crashed = marked(mark)["polite-1"] ?? [];
  process.kill(Number(supervisor.process("polite").instances[0]?.pid), "SIGKILL");
  await waitFor(() => !crashed.some(isRunning) && counts(mark)?.["polite-1"] === 2);
  await Promise.all(["polite", "stubborn"].map((name) => supervisor.stopProcess(name).done));
  expect(marked(mark)).toEqual({ "other-1": others });
  await supervisor.close();
  expect(marked(mark)).toEqual({});
});

test("what a hook has started outlives the instance", async () => {
  const mark = `strays-hook-${process.pid}`;
  const supervisor = await startSupervisor({
    processes: {
      worker: {
        command: ["sleep", "1000"],
        env: { STRAY_TEST: mark },
        hooks: { preStart: { command: ["sh", "-c", "(setsid sleep 1000 >/dev/null 2>&1 &)"] } },
      },
    },
  });
  await expect.poll(() => counts(mark), { timeout: 5_000 }).toEqual({ "worker-1": 2 });
  await supervisor.stopProcess("worker").done;
  const left = marked(mark)["worker-1"] ?? [];
  for (const pid of left) process.kill(pid, "SIGKILL");
  expect(left).toHaveLength(1);
});

test("a daemon of an instance that was taken over ends with it", async () => {
  const mark = `strays-adopted-${process.pid}`;
  const options = {
    state: { file: join(temporaryFolder(), "state.json") },
    processes: {
      worker: {
        command: [fixture("leaves-daemon.sh")],
        env: { STRAY_TEST: mark },
        onSupervisorDeath: "survive" as const,
      },
    },
  };
  const first = spawn(
    process.execPath,
    [...execArgv, fixture("run-supervisor.ts"), JSON.stringify(options)],
    { stdio: ["ignore", "ignore", "inherit"] },
  );
  await expect.poll(() => counts(mark), { timeout: 10_000 }).toEqual({ "worker-1": 2 });
  const pids = marked(mark)["worker-1"];
  first.kill("SIGKILL");
  await new Promise((resolve) => {
    first.once("exit", resolve);
  });
  const next = await startSupervisor(options);
  expect(marked(mark)).toEqual({ "worker-1": pids });
  await next.stopProcess("worker").done;
  expect(marked(mark)).toEqual({});
});

test("a hundred that look for their strays at once share one look", async () => {
  let looks = 0;
  const finder = new StrayFinder({
    ...systemClock,
    monotonicMs: () => {
      looks++;
      return systemClock.monotonicMs();
    },
  });
  const asked = Array.from({ length: 100 }, (_, number) => finder.find(`nobody-${number}`));
  expect((await Promise.all(asked)).flat()).toEqual([]);
  // A look is timed from its begin to its end.
  expect(looks).toBeLessThanOrEqual(2);
});
