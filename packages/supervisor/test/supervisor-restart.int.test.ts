import { writeFileSync } from "node:fs";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { waitFor } from "@millrace/core/testing";
import { describe, expect, test } from "vitest";
import { isRunning, pidsOf, startSupervisor } from "./fixtures/start-supervisor.ts";
import { nodeCommand } from "./fixtures/fixture.ts";
import { temporaryFolder } from "./fixtures/temporary-folder.ts";

describe("restarts", () => {
  test("a killed stable instance has a successor at once, its neighbours are untouched", async () => {
    const supervisor = await startSupervisor({
      processes: {
        worker: { command: ["sleep", "1000"], scale: 2, backoff: { minUptimeMs: 0 } },
      },
    });
    await supervisor.whenReady();
    const before = pidsOf(supervisor, "worker");
    process.kill(Number(before["worker-1"]), "SIGKILL");
    await waitFor(() => {
      const pid = pidsOf(supervisor, "worker")["worker-1"];
      return typeof pid === "number" && pid !== before["worker-1"];
    });
    expect(pidsOf(supervisor, "worker")["worker-2"]).toBe(before["worker-2"]);
  });

  test("a crash loop backs off, shows itself, and heals when the cause is gone", async () => {
    const mark = join(temporaryFolder(), "healed");
    const supervisor = await startSupervisor({
      processes: {
        worker: {
          command: ["sh", "-c", 'test -e "$0" && exec sleep 1000; exit 1', "${MARK}"],
          env: { MARK: "x" },
          backoff: { baseMs: 1, capMs: 40, crashloopAfter: 3 },
        },
      },
      env: { ...process.env, MARK: mark },
    });
    await waitFor(() => supervisor.process("worker").instances[0]?.state === "crashloop");
    writeFileSync(mark, "");
    await supervisor.whenReady();
    expect(supervisor.process("worker").state).toBe("running");
  });

  test("a command that doesn't exist is retried like a crash, and can be stopped while it waits", async () => {
    const supervisor = await startSupervisor({
      processes: { worker: { command: ["/no/such/program"], backoff: { baseMs: 20, capMs: 50 } } },
    });
    await waitFor(() => (supervisor.process("worker").instances[0]?.restarts ?? 0) > 2);
    expect(supervisor.process("worker").instances[0]?.reason).toContain("ENOENT");
    await supervisor.scale("worker", 0).done;
    expect(supervisor.process("worker").instances).toEqual([]);
  });

  test("giveUpAfter ends in failed; an essential process then ends the supervisor with its reason", async () => {
    const supervisor = await startSupervisor({
      processes: {
        side: { command: ["sleep", "1000"] },
        main: {
          command: ["sh", "-c", "exit 7"],
          essential: true,
          giveUpAfter: 2,
          backoff: { baseMs: 1 },
        },
      },
    });
    const cause = await supervisor.closed;
    expect(cause).toMatchObject({ code: "SUPERVISOR_ESSENTIAL_FAILED" });
    expect(supervisor.process("side").scale).toBe(0);
  });

  test("the program ends with the exit code that an essential process names, once all is drained", async () => {
    const processes = {
      side: { command: ["sleep", "1000"] },
      main: {
        command: ["sh", "-c", "exit 7"],
        essential: { exitCode: 42 },
        giveUpAfter: 1,
        backoff: { baseMs: 1 },
      },
    };
    const [file = "", ...args] = nodeCommand("runs-until-signal.ts", JSON.stringify({ processes }));
    const child = spawn(file, args, { stdio: ["ignore", "ignore", "ignore"] });
    const [code] = (await once(child, "exit")) as [number | null];
    expect(code).toBe(42);
  });

  test("a group budget holds back the restarts of all instances together", async () => {
    const supervisor = await startSupervisor({
      processes: {
        worker: {
          command: ["sh", "-c", "exit 1"],
          scale: 10,
          backoff: { baseMs: 0, capMs: 0 },
          restartBudget: { restarts: 20, windowMs: 60_000 },
        },
      },
    });
    const waits = (): number => {
      const { backoff, crashloop } = supervisor.process("worker").counts;
      return backoff + crashloop;
    };
    const restarts = (): number =>
      supervisor.process("worker").instances.reduce((sum, one) => sum + one.restarts, 0);
    // All may wait for a moment before the budget is used up: only then do they stay.
    await waitFor(() => waits() === 10 && restarts() >= 30);
    expect(restarts()).toBe(30);
  });

  test("grandchildren of a crashed leader are gone before its successor works", async () => {
    const supervisor = await startSupervisor({
      processes: {
        worker: {
          command: ["sh", "-c", "sleep 1000 & echo $!; sleep 0.1; exit 1"],
          backoff: { baseMs: 60_000, capMs: 60_000 },
        },
      },
    });
    const line = await waitFor(() => supervisor.logs("worker")[0]);
    await waitFor(() => supervisor.process("worker").counts.backoff === 1);
    await expect.poll(() => isRunning(Number(line.message))).toBe(false);
  });

  test("instances that end as fast as they are started don't hold the event loop", async () => {
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
    await waitFor(() => restarts() > 20);
    await waitFor(() => restarts() > 100);
    // Each run has two pipes: those of runs that ended are only closed when the loop turns.
    expect(process.getActiveResourcesInfo().length).toBeLessThan(60);
  });

  test("exitWhenAllStopped ends the supervisor after its last oneshot", async () => {
    const supervisor = await startSupervisor({
      processes: {
        job: { command: nodeCommand("forever.ts"), type: "oneshot", scale: 0 },
        done: { command: ["true"], type: "oneshot" },
      },
      exitWhenAllStopped: true,
    });
    expect(await supervisor.closed).toBeUndefined();
    expect(supervisor.state).toBe("closed");
  });
});
