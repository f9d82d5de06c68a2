import { silentLogger } from "@millrace/core";
import type { ProcessOptions, SupervisorOptions } from "@millrace/supervisor";
import fc from "fast-check";
import { Registry } from "prom-client";

const MAX_SCALE = 6;
const hook = (...command: string[]) => ({ command, timeoutMs: 500, retryDelayMs: 100 });

const traits = fc.record({
  scale: fc.nat(4),
  restart: fc.constantFrom(undefined, "always", "unless-stopped", "on-failure", "never"),
  type: fc.constantFrom("service", "service", "oneshot"),
  giveUpAfter: fc.constantFrom(0, 0, 2),
  backoff: fc.constantFrom(
    undefined,
    { baseMs: 100, capMs: 5_000, minUptimeMs: 1_000, crashloopAfter: 3 },
    { baseMs: 50, capMs: 2_000, minUptimeMs: 500 },
  ),
  restartBudget: fc.constantFrom(undefined, { restarts: 3, windowMs: 10_000 }),
  stop: fc.constantFrom(
    { timeoutMs: 0 },
    { timeoutMs: 500 },
    { timeoutMs: 5_000 },
    { timeoutMs: 2_000, preStop: { command: ["works"] } },
    { timeoutMs: 2_000, preStop: { command: ["hangs"], timeoutMs: 1_000 } },
  ),
  health: fc.constantFrom(
    undefined,
    { readiness: { type: "ipc", intervalMs: 20_000 } },
    { readiness: { type: "exec", command: ["is-ready"], intervalMs: 20_000, timeoutMs: 500 } },
    {
      readiness: { type: "ipc", intervalMs: 20_000 },
      liveness: { type: "ipc", intervalMs: 20_000, timeoutMs: 40_000 },
    },
    {
      startup: { type: "exec", command: ["is-ready"], intervalMs: 200, timeoutMs: 500 },
      liveness: { type: "exec", command: ["is-ready"], intervalMs: 20_000, timeoutMs: 500 },
    },
  ),
  hooks: fc.constantFrom(
    undefined,
    undefined,
    { preStart: hook("works"), postStart: hook("works"), postStop: hook("works") },
    { postStart: hook("fails"), postStop: hook("hangs") },
    { preStart: { ...hook("fails"), onFailure: "warn", retries: 2 } },
    { postStart: { ...hook("fails"), onFailure: "fail" } },
  ),
  memoryLimit: fc.constantFrom(
    undefined,
    undefined,
    { soft: "100MB", hard: "300MB" },
    { soft: "200MB", predictMs: 60_000 },
  ),
  rollout: fc.constantFrom(
    undefined,
    { maxSurge: 0 },
    { maxSurge: 2, minReadyMs: 500 },
    { maxUnavailable: 2 },
    { maxSurge: 1, maxUnavailable: 1, minReadyMs: 100 },
  ),
});

/** What there is besides the main process. */
const companions = fc.constantFrom(
  "nothing",
  "nothing",
  "scheduled, skipping",
  "scheduled, queueing",
  "scheduled, parallel",
  "autoscaled",
  "dependent",
  "depended on",
);

/** What a simulation starts from. */
export const worlds = fc.record({
  seed: fc.noShrink(fc.nat()),
  main: traits,
  companion: companions,
  /** Whether a failed start of the main process ends all. */
  essential: fc.constantFrom(false, false, false, false, false, true),
  exitWhenAllStopped: fc.constantFrom(false, false, false, false, false, true),
});

export type World = typeof worlds extends fc.Arbitrary<infer Value> ? Value : never;

/** The load that autoscalers see. */
export interface Load {
  wanted: number | undefined;
}

/** The options of a supervisor in such a world. */
export function optionsOf(world: World, load: Load): SupervisorOptions {
  return {
    processes: { main: mainOf(world), ...companionOf(world, load) },
    env: {},
    exitWhenAllStopped: world.exitWhenAllStopped,
    sampleIntervalMs: 10_000,
    dependencyTimeoutMs: 1_000,
    logger: silentLogger,
    metrics: new Registry(),
  };
}

function mainOf(world: World): ProcessOptions {
  const { main, essential, companion } = world;
  return {
    command: ["main", "${INSTANCE_NUMBER}"],
    ipc: true,
    maxScale: MAX_SCALE,
    readyTimeoutMs: 2_000,
    essential,
    ...(main as Partial<ProcessOptions>),
    ...(companion === "depended on" ? { dependsOn: { companion: "ready" } } : {}),
    logs: { ringLines: 10, multiline: world.seed % 4 === 0 },
  };
}

function companionOf({ companion }: World, load: Load): Record<string, ProcessOptions> {
  const base: ProcessOptions = {
    command: ["companion"],
    maxScale: MAX_SCALE,
    scale: 2,
    stop: { timeoutMs: 1_000 },
  };
  const schedule = { cron: "*/20 * * * * *", timeoutMs: 30_000, jitterMs: 1_000 };
  switch (companion) {
    case "nothing":
      return {};
    case "scheduled, skipping":
      return { companion: { ...base, scale: 0, schedule: { ...schedule, overlap: "skip" } } };
    case "scheduled, queueing":
      return { companion: { ...base, scale: 0, schedule: { ...schedule, overlap: "queue" } } };
    case "scheduled, parallel":
      return { companion: { ...base, scale: 0, schedule: { ...schedule, overlap: "parallel" } } };
    case "autoscaled":
      return {
        companion: {
          ...base,
          autoscale: {
            intervalMs: 10_000,
            inputs: [
              {
                name: "load",
                read: () =>
                  load.wanted === undefined
                    ? undefined
                    : { desired: load.wanted, active: load.wanted > 0, reason: "the load" },
              },
            ],
          },
        },
      };
    case "dependent":
      return { companion: { ...base, dependsOn: { main: "ready" } } };
    case "depended on":
      return { companion: base };
    default:
      return companion satisfies never;
  }
}
