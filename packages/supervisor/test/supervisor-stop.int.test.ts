import { readFileSync } from "node:fs";
import { join } from "node:path";
import { silentLogger } from "@millrace/core";
import { waitFor } from "@millrace/core/testing";
import { createSupervisor, type ProcessOptions, type Supervisor } from "@millrace/supervisor";
import { Registry } from "prom-client";
import { describe, expect, test } from "vitest";
import { execArgv, fixture } from "./fixtures/fixture.ts";
import { isRunning, pidsOf, startSupervisor } from "./fixtures/start-supervisor.ts";
import { temporaryFolder } from "./fixtures/temporary-folder.ts";

/** A child that is ready at once and takes its time to drain. */
function slowDrain(...args: string[]): ProcessOptions {
  return {
    module: fixture("slow-drain.ts"),
    execArgv,
    args,
    health: { readiness: { type: "ipc" } },
  };
}

describe("stopping", () => {
  test("two supervisors in one process don't meet, and end with their scopes", async () => {
    const processes = { worker: { command: ["sleep", "1000"] } };
    const metrics = new Registry();
    const create = (): Supervisor => createSupervisor({ processes, metrics, logger: silentLogger });
    const signals = process.eventNames().length;
    const pids: number[] = [];
    {
      await using first = create();
      await first.start();
      {
        await using second = create();
        await second.start();
        pids.push(...[first, second].map((one) => Number(pidsOf(one, "worker")["worker-1"])));
      }
      expect(pids.map(isRunning)).toEqual([true, false]);
      expect(await metrics.metrics()).toContain("millrace_process_up{");
      expect(process.eventNames().length).toBe(signals);
    }
    expect(pids.map(isRunning)).toEqual([false, false]);
  });

  test("ten stubborn children are stopped side by side at their deadline", async () => {
    const supervisor = await startSupervisor({
      processes: {
        stubborn: { command: [fixture("ignores-term.sh")], scale: 10, stop: { timeoutMs: 400 } },
      },
    });
    await waitFor(() => supervisor.logs("stubborn").length === 10);
    const pids = Object.values(pidsOf(supervisor, "stubborn")).map(Number);
    const kills: boolean[] = [];
    supervisor.on("instance:stopped", ({ killed }) => kills.push(killed));
    const startedAt = performance.now();
    await supervisor.scale("stubborn", 0).done;
    expect(performance.now() - startedAt).toBeLessThan(3_000);
    expect(kills).toEqual(Array.from({ length: 10 }, () => true));
    expect(pids.filter(isRunning)).toEqual([]);
  });

  test("a child that ends by itself gets one TERM, also when it is asked to stop again", async () => {
    const supervisor = await startSupervisor({
      processes: { worker: { command: [fixture("counts-terms.sh")], scale: 3 } },
    });
    const lines: string[] = [];
    supervisor.on("line:written", ({ message }) => lines.push(message));
    const kills: boolean[] = [];
    supervisor.on("instance:stopped", ({ killed }) => kills.push(killed));
    await waitFor(() => supervisor.logs("worker").length === 3);
    const first = supervisor.stopProcess("worker");
    await waitFor(() => lines.includes("TERM"));
    await Promise.all([first.done, supervisor.stopProcess("worker").done, supervisor.close()]);
    expect(lines.filter((line) => line === "TERM")).toHaveLength(3);
    expect(kills).toEqual([false, false, false]);
  });

  test("a child may put off its deadline once over, and no further", async () => {
    const supervisor = await startSupervisor({
      processes: {
        worker: { ...slowDrain("1500", "1000"), stop: { timeoutMs: 1_000 } },
        greedy: { ...slowDrain("60000", "60000"), stop: { timeoutMs: 300 } },
      },
    });
    await supervisor.whenReady();
    const killed = new Map<string, boolean>();
    const lines: string[] = [];
    supervisor.on("line:written", ({ message }) => lines.push(message));
    supervisor.on("instance:stopped", (end) => killed.set(end.process, end.killed));
    await Promise.all(["worker", "greedy"].map((name) => supervisor.stopProcess(name).done));
    expect(Object.fromEntries(killed)).toEqual({ worker: false, greedy: true });
    expect(lines).toEqual(["job of worker-1 done"]);
  });

  test("every member of the group is gone when a stop is over", async () => {
    const supervisor = await startSupervisor({
      processes: { tree: { command: [fixture("forks-grandchildren.sh")], scale: 2 } },
    });
    await supervisor.whenReady();
    const { sampleTree } = await import("../src/process/resource-sampler.ts");
    const { groupIsAlive } = await import("../src/process/process-group.ts");
    const pids = Object.values(pidsOf(supervisor, "tree")).map(Number);
    expect(pids.every((pid) => sampleTree(pid) !== undefined)).toBe(true);
    await supervisor.stopProcess("tree").done;
    expect(pids.some((pid) => groupIsAlive(pid))).toBe(false);
  });

  test("on the way down the idle go first, and jobs in hand are finished over IPC", async () => {
    const supervisor = await startSupervisor({
      processes: {
        worker: { ...slowDrain("1500"), scale: 4 },
      },
    });
    const lines: string[] = [];
    const stopped: string[] = [];
    supervisor.on("line:written", ({ message }) => lines.push(message));
    supervisor.on("instance:stopped", ({ instance }) => stopped.push(instance));
    await supervisor.whenReady();
    await waitFor(() => {
      const { instances } = supervisor.process("worker");
      return instances.filter(({ busy }) => busy === 1).length === 2;
    });
    await supervisor.scale("worker", 2).done;
    expect(stopped.toSorted()).toEqual(["worker-2", "worker-4"]);
    expect(lines).toEqual([]);
    await supervisor.scale("worker", 0).done;
    expect(lines.toSorted()).toEqual(["job of worker-1 done", "job of worker-3 done"]);
  });

  test("an instance that is being recycled when it is stopped doesn't come back", async () => {
    const supervisor = await startSupervisor({
      processes: {
        worker: {
          command: [fixture("ignores-term.sh")],
          scale: 2,
          readyTimeoutMs: 300,
          stop: { timeoutMs: 800 },
          health: { readiness: { type: "exec", command: ["false"] } },
          backoff: { baseMs: 0, capMs: 0 },
        },
      },
    });
    await waitFor(() => supervisor.process("worker").counts.stopping === 2);
    const started: string[] = [];
    supervisor.on("instance:changed", ({ to, instance }) => {
      if (to === "starting") started.push(instance);
    });
    await supervisor.scale("worker", 0).done;
    expect(supervisor.process("worker").instances).toEqual([]);
    await supervisor.close();
    expect(started).toEqual([]);
  });

  test("preStop runs before the signal, with the instance's environment", async () => {
    const mark = join(temporaryFolder(), "stopped");
    const supervisor = await startSupervisor({
      processes: {
        worker: {
          command: ["sleep", "1000"],
          stop: { preStop: { command: ["sh", "-c", 'echo "$MILLRACE_INSTANCE_ID" > "$0"', mark] } },
        },
      },
    });
    await supervisor.whenReady();
    await supervisor.stopProcess("worker").done;
    expect(readFileSync(mark, "utf8")).toBe("worker-1\n");
  });
});
