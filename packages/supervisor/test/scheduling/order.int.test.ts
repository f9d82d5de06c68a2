import { silentLogger } from "@millrace/core";
import { waitFor } from "@millrace/core/testing";
import { createSupervisor } from "@millrace/supervisor";
import { Registry } from "prom-client";
import { describe, expect, test } from "vitest";
import { execArgv, fixture } from "../fixtures/fixture.ts";
import { startSupervisor } from "../fixtures/start-supervisor.ts";

describe("order and schedules", () => {
  test("processes start after what they depend on and stop before it", async () => {
    const supervisor = await startSupervisor({
      processes: {
        app: { command: ["sleep", "1000"], dependsOn: { migrate: "completed", db: "ready" } },
        migrate: { command: ["sleep", "0.1"], type: "oneshot", dependsOn: ["db"] },
        db: {
          module: fixture("says-ready.ts"),
          execArgv,
          health: { readiness: { type: "ipc" } },
        },
      },
    });
    await supervisor.whenReady("app");
    const order: string[] = [];
    supervisor.on("instance:changed", ({ instance, to }) => order.push(`${instance} ${to}`));
    expect(supervisor.process("migrate").instances[0]?.reason).toContain("completed");
    await supervisor.close();
    expect(order.indexOf("app-1 stopped")).toBeLessThan(order.indexOf("db-1 draining"));
  });

  test("a dependency that failed fails the start, and nothing stays behind", async () => {
    const supervisor = createSupervisor({
      logger: silentLogger,
      processes: {
        app: { command: ["sleep", "1000"], dependsOn: { migrate: "completed" } },
        migrate: { command: ["sh", "-c", "exit 1"], type: "oneshot" },
      },
    });
    await expect(supervisor.start()).rejects.toMatchObject({ code: "SUPERVISOR_DEPENDENCY_UNMET" });
    expect(supervisor.status().instances).toBe(0);
  });

  test("twenty processes start only after what they depend on, and end before it", async () => {
    const layers = Array.from({ length: 5 }, (_, layer) =>
      Array.from({ length: 4 }, (_unused, index) => `p${layer}${index}`),
    );
    const edges = layers.flatMap((names, layer) =>
      names.map((name, index) => ({
        name,
        // Two of the layer before, the one in the same place and its neighbour.
        needs: layer === 0 ? [] : [`p${layer - 1}${index}`, `p${layer - 1}${(index + 1) % 4}`],
      })),
    );
    const order: string[] = [];
    const supervisor = createSupervisor({
      logger: silentLogger,
      metrics: new Registry(),
      processes: Object.fromEntries(
        edges
          .toReversed()
          .map(({ name, needs }) => [name, { command: ["sleep", "1000"], dependsOn: needs }]),
      ),
    });
    supervisor.on("instance:changed", ({ process, to }) => order.push(`${process} ${to}`));
    await supervisor.start();
    await supervisor.close();
    expect(order.filter((step) => step.endsWith(" stopped"))).toHaveLength(20);
    for (const { name, needs } of edges) {
      for (const need of needs) {
        expect(order.indexOf(`${need} ready`)).toBeLessThan(order.indexOf(`${name} starting`));
        expect(order.indexOf(`${name} stopped`)).toBeLessThan(order.indexOf(`${need} draining`));
      }
    }
  });

  test("a process may wait for a line that another one writes", async () => {
    const supervisor = await startSupervisor({
      processes: {
        app: {
          command: ["sleep", "1000"],
          dependsOn: { db: { line: /ready to accept \d+ connections/ }, cache: { line: "warm" } },
        },
        db: {
          command: [
            "sh",
            "-c",
            "echo starting; sleep 0.1; echo ready to accept 10 connections; exec sleep 1000",
          ],
        },
        cache: { command: ["sh", "-c", "echo warm; exec sleep 1000"] },
      },
    });
    expect(supervisor.logs("db").map(({ message }) => message)).toEqual([
      "starting",
      "ready to accept 10 connections",
    ]);
    expect(supervisor.process("app").counts.ready).toBe(1);
  });

  test("a line that never comes fails the start by name", async () => {
    const supervisor = createSupervisor({
      logger: silentLogger,
      metrics: new Registry(),
      dependencyTimeoutMs: 100,
      processes: {
        app: { command: ["sleep", "1000"], dependsOn: { db: { line: "ready" } } },
        db: { command: ["sleep", "1000"] },
      },
    });
    await expect(supervisor.start()).rejects.toThrow('app waits for db to write "ready"');
  });

  test("a schedule runs every second, skips while it still runs, and stops a run that takes too long", async () => {
    const supervisor = await startSupervisor({
      processes: {
        quick: { command: ["true"], schedule: "* * * * * *" },
        slow: {
          command: ["sleep", "1000"],
          schedule: { cron: "* * * * * *", timeoutMs: 1_200 },
        },
      },
    });
    const outcomes = new Set<string>();
    supervisor.on("schedule:ran", ({ process, outcome }) => outcomes.add(`${process} ${outcome}`));
    await waitFor(() => outcomes.has("slow timed-out") && outcomes.has("slow skipped"));
    expect(outcomes).toContain("quick succeeded");
  });
});
