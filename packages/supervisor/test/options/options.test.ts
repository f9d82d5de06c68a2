import { createSupervisor, type ProcessOptions } from "@millrace/supervisor";
import { describe, expect, test } from "vitest";
import {
  initialScale,
  parseSupervisorOptions,
} from "../../src/options/parse-supervisor-options.ts";

const capacity = { cpuCount: 4, memoryBytes: 4_000_000_000 };

function parse(process: ProcessOptions, env: Record<string, string> = {}, name = "queue-default") {
  const options = parseSupervisorOptions({ processes: { [name]: process } }, env, capacity);
  const resolved = options.processes[name];
  if (resolved === undefined) throw new Error("expected the process");
  return { options: resolved, scale: initialScale(resolved, env, capacity) };
}

describe("options", () => {
  test.each([
    [{ command: ["a"], sclae: 3 }, "sclae, did you mean scale?"],
    [{ command: ["a"], health: { livenes: {} } }, "livenes, did you mean liveness?"],
    [{ command: ["a"], stop: { timeout: 3 } }, "timeout, did you mean timeoutMs?"],
    [{ command: ["a"], module: "b" }, "either command or module"],
    [{}, "either command or module"],
    [{ command: ["a"], scale: 5, maxScale: 3 }, "5 is not between minScale 0 and maxScale 3"],
    [{ command: ["a", "${NO_SUCH_VARIABLE}"] }, "NO_SUCH_VARIABLE"],
    [{ command: ["a"], dependsOn: ["queue-defalt"] }, "did you mean queue-default?"],
    [{ command: ["a"], dependsOn: ["queue-default"] }, "queue-default -> queue-default"],
    [{ command: ["a"], schedule: "61 * * * *" }, "schedule"],
    [{ command: ["a"], schedule: { cron: "* * * * *", timezone: "Europe/Atlantis" } }, "schedule"],
    [{ command: ["a"], user: "no-such-user" }, "no-such-user"],
    [{ command: ["a"], memoryLimit: "many" }, "expected bytes"],
    [{ command: ["a"], stop: { signal: "SIGNOPE" } }, "name of a signal"],
    [{ command: ["a"], ports: { base: 1 }, rollout: { maxSurge: 1 } }, "maxSurge must be 0"],
  ])("%o is refused: %s", (process, message) => {
    expect(() =>
      createSupervisor({ processes: { "queue-default": process as ProcessOptions } }),
    ).toThrow(message);
  });

  test("environment variables override by the type of the option", () => {
    const env = {
      MILLRACE_PROCESS_QUEUE_DEFAULT_SCALE: "1",
      MILLRACE_PROCESS_QUEUE_DEFAULT_STOP_TIMEOUT_MS: "1500",
      MILLRACE_PROCESS_QUEUE_DEFAULT_ENV_LEVEL: "1",
    };
    const { options, scale } = parse({ command: ["a"], scale: 3, stop: { signal: "SIGINT" } }, env);
    expect(scale).toBe(1);
    expect(options.stop).toMatchObject({ signal: "SIGINT", timeoutMs: 1_500 });
    expect(options.env).toEqual({ LEVEL: "1" });
  });

  test("an override of the wrong type is refused by the variable's name", () => {
    expect(() =>
      parse({ command: ["a"] }, { MILLRACE_PROCESS_QUEUE_DEFAULT_SCALE: "many" }),
    ).toThrow("MILLRACE_PROCESS_QUEUE_DEFAULT_SCALE");
  });

  test.each([
    [{ scale: "${CPU_COUNT}" }, 4],
    [{ memory: { perInstance: "400MB", share: 1 } }, 10],
    [{ memory: { perInstance: "400MB", share: 1 }, maxScale: 6 }, 6],
    [{ scale: "${WORKERS:-7}" }, 7],
    [{}, 1],
    [{ minScale: 2 }, 2],
  ])("%o starts %i instances on 4 processors and 4 GB", (process, expected) => {
    expect(parse({ command: ["a"], ...process }).scale).toBe(expected);
  });

  test("disabled processes are left out", () => {
    const supervisor = createSupervisor({ processes: { off: { command: ["a"], enabled: false } } });
    expect(supervisor.status().processes).toEqual([]);
  });
});
