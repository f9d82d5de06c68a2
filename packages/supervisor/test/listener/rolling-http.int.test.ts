import { Agent, request } from "node:http";
import { waitFor } from "@millrace/core/testing";
import { afterEach, describe, expect, test } from "vitest";
import { fixture } from "../fixtures/fixture.ts";
import { pidsOf, startSupervisor } from "../fixtures/start-supervisor.ts";
import { webProcess } from "../fixtures/web-process.ts";

const agents: Agent[] = [];
afterEach(() => {
  for (const agent of agents.splice(0)) agent.destroy();
});

/** Constant load: `perSecond` requests with and as many without a kept connection. */
function startLoad(port: number, perSecond: number) {
  const kept = new Agent({ keepAlive: true });
  agents.push(kept);
  const failures: string[] = [];
  const counts = { sent: 0, done: 0 };
  const send = (agent: Agent | false): void => {
    counts.sent++;
    request({ host: "127.0.0.1", port, agent }, (response) => {
      response.resume();
      response.on("end", () => {
        counts.done++;
        if (response.statusCode !== 200) failures.push(`status ${response.statusCode}`);
      });
    })
      .on("error", (error: NodeJS.ErrnoException) => {
        counts.done++;
        failures.push(error.code ?? error.message);
      })
      .end();
  };
  const timer = setInterval(() => {
    send(kept);
    send(false);
  }, 1_000 / perSecond);
  return {
    failures,
    stop: async () => {
      clearInterval(timer);
      await waitFor(() => counts.done === counts.sent);
      return counts.sent;
    },
  };
}

describe("rolling restart behind a shared listener", () => {
  test("no request fails while three servers are replaced twice, one of them busy at its drain", async () => {
    const supervisor = await startSupervisor({
      processes: {
        web: webProcess({
          scale: 3,
          env: { BUSY_AT_DRAIN_MS: "100" },
        }),
      },
    });
    await supervisor.whenReady();
    const before = pidsOf(supervisor, "web");
    const load = startLoad(portOf(supervisor.process("web")), 100);
    let fewest = 3;
    const watch = setInterval(() => {
      const ready = supervisor.process("web").counts.ready;
      fewest = Math.min(fewest, ready);
    }, 5);
    expect((await supervisor.restart("web").done).state).toBe("succeeded");
    expect((await supervisor.rollout("web", { env: { RELEASE: "2" } }).done).state).toBe(
      "succeeded",
    );
    clearInterval(watch);
    const sent = await load.stop();
    expect(load.failures).toEqual([]);
    expect(sent).toBeGreaterThan(100);
    expect(fewest).toBe(3);
    const after = supervisor.process("web");
    expect(after.generation).toBe(2);
    for (const { name, pid } of after.instances) expect(pid).not.toBe(before[name]);
  });

  test("a generation that never gets ready is put back: old pids stay, no request fails", async () => {
    const supervisor = await startSupervisor({
      processes: {
        web: webProcess({
          scale: 2,
          readyTimeoutMs: 1_000,
        }),
      },
    });
    await supervisor.whenReady();
    const before = pidsOf(supervisor, "web");
    const load = startLoad(portOf(supervisor.process("web")), 50);
    const outcome = await supervisor.rollout("web", { module: fixture("never-ready.ts") }).done;
    await load.stop();
    expect(outcome).toMatchObject({
      state: "failed",
      error: { code: "SUPERVISOR_ROLLED_BACK", reason: "not-ready" },
    });
    expect(load.failures).toEqual([]);
    expect(pidsOf(supervisor, "web")).toEqual(before);
    expect(supervisor.process("web").generation).toBe(1);
  });

  test.each([
    ["says ready and crashes while it has to stay so", "crashes-after-ready.ts", "crashed"],
    ["never gets ready while only progress is bounded", "never-ready.ts", "stalled"],
  ])("a generation that %s stops at the first instance", async (_, module, reason) => {
    const supervisor = await startSupervisor({
      processes: {
        web: webProcess({
          scale: 3,
          rollout: { minReadyMs: 30_000, progressDeadlineMs: 1_500 },
        }),
      },
    });
    await supervisor.whenReady();
    const before = pidsOf(supervisor, "web");
    const generations = new Set<string>();
    supervisor.on("instance:changed", ({ instance, generation }) => {
      if (generation === 2) generations.add(instance);
    });
    const load = startLoad(portOf(supervisor.process("web")), 50);
    const outcome = await supervisor.rollout("web", { module: fixture(module) }).done;
    await load.stop();
    expect(outcome.error).toMatchObject({ code: "SUPERVISOR_ROLLED_BACK", reason });
    expect(load.failures).toEqual([]);
    expect(pidsOf(supervisor, "web")).toEqual(before);
    expect([...generations]).toEqual(["web-1"]);
  });

  test("connections wait while the only instance is replaced stop-first", async () => {
    const supervisor = await startSupervisor({
      processes: {
        web: webProcess({
          rollout: { maxSurge: 0, maxUnavailable: 1 },
        }),
      },
    });
    await supervisor.whenReady();
    const load = startLoad(portOf(supervisor.process("web")), 20);
    await supervisor.restart("web").done;
    await load.stop();
    expect(load.failures).toEqual([]);
  });

  test("a child of another language gets the socket as LISTEN_FDS says", async () => {
    const supervisor = await startSupervisor({
      processes: { web: { command: ["python3", fixture("listen-fds.py")], listen: 0, scale: 2 } },
    });
    const response = await fetch(`http://127.0.0.1:${portOf(supervisor.process("web"))}/`);
    expect(await response.text()).toBe("python");
  });

  test("a rollback brings the options of the generation before", async () => {
    const supervisor = await startSupervisor({
      processes: {
        web: { command: ["sh", "-c", "echo $RELEASE; exec sleep 1000"], env: { RELEASE: "one" } },
      },
    });
    const lines: string[] = [];
    supervisor.on("line:written", ({ message }) => lines.push(message));
    expect(() => supervisor.rollback("web")).toThrow(
      expect.objectContaining({ code: "SUPERVISOR_NOTHING_TO_ROLL_BACK" }),
    );
    await supervisor.rollout("web", { env: { RELEASE: "two" } }).done;
    expect((await supervisor.rollback("web").done).state).toBe("succeeded");
    await expect.poll(() => lines.at(-1)).toBe("one");
    expect(lines).toContain("two");
  });
});

function portOf(process: { instances: Array<{ port: number | null }> }): number {
  return Number(process.instances[0]?.port);
}
