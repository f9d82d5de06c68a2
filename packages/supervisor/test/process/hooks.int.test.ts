import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { silentLogger } from "@millrace/core";
import { waitFor } from "@millrace/core/testing";
import { createSupervisor, type HookRun } from "@millrace/supervisor";
import { Registry } from "prom-client";
import { describe, expect, onTestFinished, test } from "vitest";
import { isRunning, startSupervisor } from "../fixtures/start-supervisor.ts";
import { temporaryFolder } from "../fixtures/temporary-folder.ts";

const say = (file: string, words: string): string[] => ["sh", "-c", `echo "${words}" >> ${file}`];

function linesOf(file: string): string[] {
  return existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : [];
}

describe("hooks of an instance", () => {
  test("run in order around each run, a crash included, with what the end was", async () => {
    const file = join(temporaryFolder(), "order");
    const supervisor = await startSupervisor({
      env: { PATH: process.env["PATH"], ORDER: file },
      processes: {
        worker: {
          command: ["sh", "-c", 'echo run >> "$ORDER"; exec sleep 1000'],
          backoff: { baseMs: 1, capMs: 1 },
          hooks: {
            preStart: {
              command: ["sh", "-c", 'echo "$MILLRACE_HOOK $1" >> "$ORDER"', "sh", "${INSTANCE_ID}"],
            },
            postStart: { command: ["sh", "-c", 'echo "$MILLRACE_HOOK" >> "$ORDER"'] },
            postStop: {
              command: ["sh", "-c", 'echo "$MILLRACE_HOOK $MILLRACE_EXIT_SIGNAL" >> "$ORDER"'],
            },
          },
          stop: { preStop: { command: ["sh", "-c", 'echo "preStop" >> "$ORDER"'] } },
        },
      },
    });
    await waitFor(() => linesOf(file).includes("postStart"));
    process.kill(Number(supervisor.process("worker").instances[0]?.pid), "SIGKILL");
    await waitFor(() => linesOf(file).filter((line) => line === "postStart").length === 2);
    await supervisor.stopProcess("worker").done;
    const lines = linesOf(file).filter((line) => line !== "run");
    expect(lines).toEqual([
      "preStart worker-1",
      "postStart",
      "postStop SIGKILL",
      "preStart worker-1",
      "postStart",
      "preStop",
      "postStop SIGTERM",
    ]);
  });

  test("a preStart that fails is tried again, then counts as a failed start", async () => {
    const hooks: HookRun[] = [];
    const metrics = new Registry();
    const supervisor = createSupervisor({
      logger: silentLogger,
      metrics,
      processes: {
        worker: {
          command: ["sleep", "1000"],
          giveUpAfter: 1,
          backoff: { baseMs: 1, capMs: 1 },
          hooks: {
            preStart: {
              command: ["sh", "-c", "echo no room >&2; exit 3"],
              retries: 2,
              retryDelayMs: 1,
            },
          },
        },
      },
    });
    onTestFinished(() => supervisor.close());
    supervisor.on("hook:ran", (run) => hooks.push(run));
    await supervisor.start();
    await waitFor(() => supervisor.process("worker").instances[0]?.state === "failed");
    expect(hooks).toHaveLength(2);
    expect(hooks[0]).toMatchObject({ stage: "preStart", outcome: "failed", attempts: 3 });
    expect(supervisor.process("worker").instances[0]?.reason).toContain("no room");
    expect(supervisor.process("worker").instances[0]?.pid).toBeNull();
    expect(await metrics.metrics()).toMatch(
      /^millrace_hook_runs_total\{process="worker",stage="preStart",outcome="failed"\} [1-9]/m,
    );
  });

  test("a hook that takes too long is killed with its children; with onFailure warn the start goes on", async () => {
    const file = join(temporaryFolder(), "pids");
    const supervisor = await startSupervisor({
      processes: {
        worker: {
          command: ["sleep", "1000"],
          hooks: {
            preStart: {
              command: ["sh", "-c", `sleep 1000 & echo $! > ${file}; echo $$ >> ${file}; wait`],
              timeoutMs: 300,
              onFailure: "warn",
            },
          },
        },
      },
    });
    await supervisor.whenReady("worker");
    const pids = linesOf(file).map(Number);
    expect(pids).toHaveLength(2);
    await waitFor(() => pids.every((pid) => !isRunning(pid)));
  });

  test("a stop during preStart ends the hook and starts nothing", async () => {
    const file = join(temporaryFolder(), "pid");
    const supervisor = await startSupervisor({
      processes: {
        worker: {
          command: ["sleep", "1000"],
          hooks: { preStart: { command: ["sh", "-c", `echo $$ > ${file}; exec sleep 1000`] } },
        },
      },
    });
    await waitFor(() => linesOf(file).length === 1 && linesOf(file)[0] !== "");
    await supervisor.scale("worker", 0).done;
    await waitFor(() => !isRunning(Number(linesOf(file)[0])));
    expect(supervisor.process("worker").instances).toEqual([]);
  });
});

describe("hooks of the supervisor", () => {
  test("run once around everything; a preStart that fails fails the start", async () => {
    const file = join(temporaryFolder(), "order");
    const stages = ["preStart", "postStart", "preStop", "postStop"] as const;
    const supervisor = createSupervisor({
      logger: silentLogger,
      metrics: new Registry(),
      processes: { worker: { command: ["sh", "-c", `echo run >> ${file}; exec sleep 1000`] } },
      hooks: Object.fromEntries(stages.map((stage) => [stage, { command: say(file, stage) }])),
    });
    await supervisor.start();
    await waitFor(() => linesOf(file).includes("run"));
    await supervisor.close();
    expect(linesOf(file).filter((line) => line !== "run")).toEqual([...stages]);
    const failing = createSupervisor({
      logger: silentLogger,
      metrics: new Registry(),
      processes: { worker: { command: ["sh", "-c", `echo started >> ${file}; exec sleep 1000`] } },
      hooks: { preStart: { command: ["false"] } },
    });
    await expect(failing.start()).rejects.toMatchObject({ code: "SUPERVISOR_HOOK_FAILED" });
    expect(linesOf(file)).not.toContain("started");
  });
});
