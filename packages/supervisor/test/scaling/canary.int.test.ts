import { waitFor } from "@millrace/core/testing";
import { describe, expect, test } from "vitest";
import { fixture } from "../fixtures/fixture.ts";
import { startSupervisor } from "../fixtures/start-supervisor.ts";

const command = ["sh", "-c", "echo $MILLRACE_INSTANCE_ID $RELEASE; exec sleep 1000"];

/** A canary of instances that stop at their deadline only. */
async function startStubborn(times: { scale: number; timeoutMs: number; holdMs: number }) {
  const { scale, timeoutMs, holdMs } = times;
  const supervisor = await startSupervisor({
    processes: { app: { command: [fixture("ignores-term.sh")], scale, stop: { timeoutMs } } },
  });
  await waitFor(() => supervisor.logs("app").length === scale);
  const patch = { command: ["sleep", "1000"] };
  return { supervisor, operation: supervisor.canary("app", { patch, holdMs }) };
}

describe("canary", () => {
  test("nine to one, then three, then everything", async () => {
    const supervisor = await startSupervisor({
      processes: { app: { command, scale: 10, env: { RELEASE: "stable" } } },
    });
    await supervisor.whenReady();
    const views: string[] = [];
    const operation = supervisor.canary("app", {
      patch: { env: { RELEASE: "canary" } },
      steps: [1, 3],
      holdMs: 50,
      intervalMs: 10,
      verdict: ({ canary, stable }) => {
        views.push(`${stable.length}:${canary.length}`);
        return "continue";
      },
    });
    expect((await operation.done).state).toBe("succeeded");
    expect([...new Set(views)]).toEqual(["9:1", "7:3"]);
    const { instances, generation } = supervisor.process("app");
    expect(generation).toBe(2);
    expect(instances.every((instance) => instance.generation === 2)).toBe(true);
  });

  test("an error rate that is clearly worse brings the stable variant back", async () => {
    const supervisor = await startSupervisor({
      processes: { app: { command, scale: 4, env: { RELEASE: "stable" } } },
    });
    await supervisor.whenReady();
    let requests = 0;
    const operation = supervisor.canary("app", {
      patch: { env: { RELEASE: "canary" } },
      holdMs: 60_000,
      intervalMs: 5,
      errors: () => {
        requests += 50;
        return Promise.resolve({
          canary: { total: requests, errors: Math.round(requests * 0.1) },
          stable: { total: requests * 3, errors: 0 },
        });
      },
    });
    expect(() => supervisor.canary("app", { patch: {}, holdMs: 1 })).toThrow(
      expect.objectContaining({ code: "SUPERVISOR_CANARY_RUNNING" }),
    );
    const outcome = await operation.done;
    expect(outcome.state).toBe("failed");
    expect(outcome.error?.message).toContain("canary error rate");
    await waitFor(() => supervisor.process("app").counts.ready === 4);
    expect(supervisor.process("app").instances.every(({ generation }) => generation === 1)).toBe(
      true,
    );
  });

  test("a canary that is cancelled while its predecessor is still stopping goes away too", async () => {
    const { supervisor, operation } = await startStubborn({
      scale: 2,
      timeoutMs: 1_000,
      holdMs: 60_000,
    });
    const of = (number: number) =>
      supervisor.process("app").instances.filter((one) => one.number === number);
    await waitFor(() =>
      of(2).some(({ generation, state }) => generation === 2 && state === "ready"),
    );
    await waitFor(() =>
      of(2).some(({ generation, state }) => generation === 1 && state !== "ready"),
    );
    operation.cancel();
    await waitFor(() =>
      supervisor.process("app").instances.every(({ generation }) => generation === 1),
    );
    expect(supervisor.process("app").scale).toBe(2);
  });

  test("a promotion that is cancelled half-way is taken back as a whole", async () => {
    const { supervisor, operation } = await startStubborn({ scale: 3, timeoutMs: 500, holdMs: 1 });
    const promoted = (): boolean =>
      supervisor.process("app").instances.some(({ number, generation, state }) => {
        return number < 3 && generation === 2 && state === "ready";
      });
    await waitFor(promoted);
    operation.cancel();
    await waitFor(() =>
      supervisor.process("app").instances.every(({ generation }) => generation === 1),
    );
    expect(supervisor.process("app")).toMatchObject({ scale: 3, generation: 1 });
  });

  test("a canary that is cancelled goes away", async () => {
    const supervisor = await startSupervisor({
      processes: { app: { command, scale: 3, env: { RELEASE: "stable" } } },
    });
    await supervisor.whenReady();
    const operation = supervisor.canary("app", {
      patch: { env: { RELEASE: "canary" } },
      holdMs: 60_000,
    });
    await waitFor(() =>
      supervisor.process("app").instances.some(({ generation }) => generation === 2),
    );
    operation.cancel();
    await expect
      .poll(() => supervisor.process("app").instances.map(({ generation }) => generation))
      .toEqual([1, 1, 1]);
  });
});
