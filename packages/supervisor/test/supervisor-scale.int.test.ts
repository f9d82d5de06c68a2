import { waitFor } from "@millrace/core/testing";
import { describe, expect, test } from "vitest";
import { isRunning, pidsOf, startSupervisor } from "./fixtures/start-supervisor.ts";

describe("scaling", () => {
  test("instances are numbered from 1 and know who they are", async () => {
    const supervisor = await startSupervisor({
      processes: {
        "queue-default": {
          command: [
            "sh",
            "-c",
            "echo $0 $MILLRACE_INSTANCE_ID $MILLRACE_INSTANCE_NUMBER $MILLRACE_PROCESS_NAME; exec sleep 1000",
            "--id=${INSTANCE_NUMBER}",
          ],
          scale: 3,
        },
      },
    });
    await waitFor(() => supervisor.logs("queue-default").length === 3);
    const lines = supervisor.logs("queue-default").map(({ message }) => message);
    expect(lines.toSorted()).toEqual([
      "--id=1 queue-default-1 1 queue-default",
      "--id=2 queue-default-2 2 queue-default",
      "--id=3 queue-default-3 3 queue-default",
    ]);
  });

  test("those that stay keep their pids through 3, 10, 4, 0 and 2 instances", async () => {
    const supervisor = await startSupervisor({
      processes: { worker: { command: ["sleep", "1000"], scale: 3 } },
    });
    await supervisor.whenReady();
    const first = pidsOf(supervisor, "worker");
    await supervisor.scale("worker", 10).done;
    const grown = pidsOf(supervisor, "worker");
    expect(grown).toMatchObject(first);
    expect(Object.keys(grown)).toHaveLength(10);
    await supervisor.scale("worker", { delta: -6 }).done;
    const shrunk = pidsOf(supervisor, "worker");
    expect(Object.keys(shrunk)).toHaveLength(4);
    expect(grown).toMatchObject(shrunk);
    await supervisor.scale("worker", 0).done;
    expect(supervisor.process("worker")).toMatchObject({ scale: 0, state: "stopped" });
    for (const pid of Object.values(grown)) expect(isRunning(Number(pid))).toBe(false);
    await supervisor.scale("worker", 2).done;
    expect(Object.keys(pidsOf(supervisor, "worker"))).toEqual(["worker-1", "worker-2"]);
  });

  test("a number outside the limits is refused with a code and changes nothing", async () => {
    const supervisor = await startSupervisor({
      processes: { worker: { command: ["sleep", "1000"], scale: 1, maxScale: 3 } },
      maxInstances: 3,
    });
    expect(() => supervisor.scale("worker", 4)).toThrow(
      expect.objectContaining({ code: "SUPERVISOR_SCALE_OUT_OF_RANGE" }),
    );
    expect(() => supervisor.scale("nobody", 1)).toThrow(
      expect.objectContaining({ code: "SUPERVISOR_PROCESS_UNKNOWN" }),
    );
    expect(supervisor.process("worker").desired).toBe(1);
  });

  test("a gradual scale takes steps, and a newer count supersedes it", async () => {
    const supervisor = await startSupervisor({
      processes: { worker: { command: ["sleep", "1000"], scale: 2 } },
    });
    const seen: number[] = [];
    supervisor.on("operation:changed", ({ done, kind }) => kind === "scale" && seen.push(done));
    const gradual = supervisor.scale("worker", 8, { step: 2, delayMs: 10 });
    expect((await gradual.done).state).toBe("succeeded");
    expect([...new Set(seen)]).toEqual(expect.arrayContaining([2, 4, 6]));
    const slow = supervisor.scale("worker", 20, { step: 2, delayMs: 60_000 });
    await waitFor(() => supervisor.process("worker").scale === 10);
    const newer = supervisor.scale("worker", 3);
    expect((await slow.done).state).toBe("superseded");
    expect((await newer.done).state).toBe("succeeded");
    expect(supervisor.process("worker").scale).toBe(3);
  });

  test("two hundred calls at once end in one linear history with the last count", async () => {
    const supervisor = await startSupervisor({
      processes: { worker: { command: ["sleep", "1000"], scale: 1 } },
    });
    let most = 0;
    supervisor.on("instance:changed", () => {
      const alive = supervisor.process("worker").instances.filter(({ pid }) => pid !== null);
      most = Math.max(most, alive.length);
    });
    const operations = Array.from({ length: 200 }, (_, index) =>
      index % 10 === 9 ? supervisor.restart("worker") : supervisor.scale("worker", index % 6),
    );
    const last = supervisor.scale("worker", 4);
    const outcomes = await Promise.all(operations.map(({ done }) => done));
    expect((await last.done).state).toBe("succeeded");
    expect(new Set(outcomes.map(({ state }) => state))).toEqual(
      new Set(["superseded", "succeeded"]),
    );
    await supervisor.whenReady();
    expect(supervisor.process("worker").instances).toHaveLength(4);
    expect(most).toBeLessThanOrEqual(7);
  });

  test("one instance can be stopped, started and restarted by its name", async () => {
    const supervisor = await startSupervisor({
      processes: { worker: { command: ["sleep", "1000"], scale: 3 } },
    });
    await supervisor.whenReady();
    const before = pidsOf(supervisor, "worker");
    await supervisor.stopProcess("worker-2").done;
    expect(supervisor.process("worker")).toMatchObject({ scale: 2, desired: 3 });
    await supervisor.startProcess("worker-2").done;
    await supervisor.restart("worker-3").done;
    const after = pidsOf(supervisor, "worker");
    expect(after["worker-1"]).toBe(before["worker-1"]);
    expect(after["worker-2"]).not.toBe(before["worker-2"]);
    expect(after["worker-3"]).not.toBe(before["worker-3"]);
  });

  test("a stopped process starts again at its last scale", async () => {
    const supervisor = await startSupervisor({
      processes: { worker: { command: ["sleep", "1000"], scale: 2 } },
    });
    await supervisor.stopProcess("worker").done;
    expect(supervisor.process("worker").state).toBe("stopped");
    await supervisor.startProcess("worker").done;
    expect(supervisor.process("worker").scale).toBe(2);
  });
});
