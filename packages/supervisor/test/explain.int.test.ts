import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { waitFor } from "@millrace/core/testing";
import { describe, expect, test } from "vitest";
import { startSupervisor } from "./fixtures/start-supervisor.ts";
import { temporaryFolder } from "./fixtures/temporary-folder.ts";

describe("explain", () => {
  test("says in words why an instance waits, how it got there and when it goes on", async () => {
    const supervisor = await startSupervisor({
      processes: {
        sick: {
          command: ["sh", "-c", "exit 3"],
          backoff: { baseMs: 1e6, capMs: 1e6, crashloopAfter: 2 },
        },
      },
    });
    await waitFor(() => supervisor.process("sick").instances[0]?.state === "backoff");
    const { because, steps, events } = supervisor.explain("sick-1");
    expect(because[0]).toMatch(/^sick-1 is backoff since .*exited with code 3/);
    expect(because[1]).toMatch(/^it is started again in \d+ ms$/);
    expect(because.join("\n")).toContain("its last run exited with code 3");
    expect(steps.map(({ to }) => to)).toEqual(["starting", "ready", "backoff"]);
    expect(events.map(({ event }) => event)).toContain("instance:exited");
    const whole = supervisor.explain("sick");
    expect(whole.because[0]).toBe("sick wants 1 instances; 1 are active, 0 of them ready");
    expect(whole.because.join("\n")).toContain("exited with code 3");
    expect(whole.operations[0]).toMatchObject({ kind: "scale", state: "succeeded" });
    await supervisor.stopProcess("sick").done;
    expect(supervisor.explain("sick").because.join("\n")).toContain("stopped by hand");
    expect(() => supervisor.explain("nobody")).toThrow(
      expect.objectContaining({ code: "SUPERVISOR_PROCESS_UNKNOWN" }),
    );
  });
});

describe("readiness", () => {
  test("the ready file follows what is ready, and goes before anything is stopped", async () => {
    const folder = temporaryFolder();
    const file = join(folder, "all-ready");
    const supervisor = await startSupervisor({
      processes: {
        // Ready as soon as it has written its file, and not ready once it is gone.
        worker: {
          command: ["sh", "-c", "touch $0; exec sleep 1000", join(folder, "${INSTANCE_ID}")],
          health: {
            readiness: {
              type: "file",
              path: join(folder, "${INSTANCE_ID}"),
              intervalMs: 20,
              failureThreshold: 1,
            },
          },
        },
        batch: { command: ["true"], schedule: "0 3 * * *" },
      },
      ready: { file },
    });
    await waitFor(() => existsSync(file));
    expect(supervisor.readiness()).toEqual({ ready: true, waitingFor: [] });
    rmSync(join(folder, "worker-1"));
    await waitFor(() => !existsSync(file));
    expect(supervisor.process("worker").instances[0]?.state).toBe("unhealthy");
    const response = await supervisor.fetch(new Request("http://localhost/api/v1/ready"));
    expect(response.status).toBe(503);
    expect(await response.json()).toEqual({
      ready: false,
      waitingFor: ["worker: 0 of 1 ready"],
    });
    await supervisor.restart("worker-1").done;
    await waitFor(() => existsSync(file));
    const seen: boolean[] = [];
    supervisor.on("instance:changed", () => seen.push(existsSync(file)));
    await supervisor.close();
    expect(seen.length).toBeGreaterThan(0);
    expect(seen).not.toContain(true);
  });
});

describe("restart: unless-stopped", () => {
  test("what was stopped by hand stays down under the next supervisor, the rest comes back", async () => {
    const folder = temporaryFolder();
    const options = {
      state: { file: join(folder, "state.json") },
      processes: {
        kept: { command: ["sleep", "1000"], scale: 2, restart: "unless-stopped" as const },
        always: { command: ["sleep", "1000"], scale: 2 },
        running: { command: ["sleep", "1000"], restart: "unless-stopped" as const },
      },
    };
    const first = await startSupervisor(options);
    await first.stopProcess("kept").done;
    await first.stopProcess("always").done;
    process.kill(Number(first.process("running").instances[0]?.pid), "SIGKILL");
    await waitFor(() => first.process("running").counts.ready === 1);
    await first.close();
    const second = await startSupervisor(options);
    await second.whenReady("always");
    expect(second.process("running").scale).toBe(1);
    expect(second.process("kept").scale).toBe(0);
    expect((await second.startProcess("kept").done).state).toBe("succeeded");
    expect(second.process("kept").scale).toBe(2);
  });
});
