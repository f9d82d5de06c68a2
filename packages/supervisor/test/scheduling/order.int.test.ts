import { waitFor } from "@millrace/core/testing";
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
    const { createSupervisor } = await import("@millrace/supervisor");
    const { silentLogger } = await import("@millrace/core");
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
