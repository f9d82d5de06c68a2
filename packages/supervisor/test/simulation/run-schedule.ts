import fc from "fast-check";
import { createSupervisorOn } from "../../src/supervisor.ts";
import { SimulatedHost } from "./simulated-host.ts";
import { perform, type Stage, type Step, steps } from "./steps.ts";
import { Watch } from "./watch.ts";
import { type Load, optionsOf, type World, worlds } from "./world.ts";

const MINUTE_MS = 60_000;
const MAX_INSTANCES = 20;
// Longer than any backoff here.
const CALM_MS = 90_000;
const REPLACED_MS = 10_000;

/** What happens in a world, and whether it calms down before the end. */
export const schedules = fc.record({
  world: worlds,
  steps: fc.array(steps, { maxLength: 16, size: "max" }),
  /** From the call to start until the first step. */
  firstMs: fc.constantFrom(0, 50, 10_000),
  calmsDown: fc.boolean(),
  /** Whether it is then told once more how many instances there ought to be. */
  isReminded: fc.boolean(),
  graceMs: fc.constantFrom(0, 1_000, 20_000),
});

export interface Schedule {
  world: World;
  steps: Step[];
  firstMs: number;
  calmsDown: boolean;
  isReminded: boolean;
  graceMs: number;
}

/** Runs a schedule from the start of a supervisor to its end; rejects when anything is wrong. */
export async function runSchedule(schedule: Schedule): Promise<void> {
  const { world, firstMs, calmsDown, graceMs } = schedule;
  const host = new SimulatedHost(world.seed);
  const load: Load = { wanted: 2 };
  const supervisor = createSupervisorOn(host, optionsOf(world, load));
  const watch = new Watch(world, host, supervisor);
  const onRejection = (error: unknown): void =>
    watch.blame(`nobody handled ${error instanceof Error ? error.stack : String(error)}`);
  process.on("unhandledRejection", onRejection);
  try {
    const stage: Stage = { host, supervisor, load, operations: [], waits: [] };
    const starting = supervisor.start().catch((error: unknown) => watch.note(String(error)));
    await host.clock.advance(firstMs);
    for (const step of schedule.steps) {
      watch.note(`STEP ${step.action} ${step.process} ${step.number} ${step.temper}`);
      perform(step, stage);
      await host.clock.advance(step.thenMs);
      watch.check();
    }
    if (calmsDown) await calmDown(stage, watch, schedule);
    watch.note("CLOSE");
    const closing = supervisor.close({ graceMs });
    await mustSettle(host, [starting, closing, ...stage.waits], "the close");
    await mustSettle(
      host,
      stage.operations.map(({ done }) => done),
      "an operation",
    );
    await host.clock.advance(0);
    watch.checkClosed();
    await host.clock.advance(10 * MINUTE_MS);
    watch.checkClosed();
  } finally {
    process.off("unhandledRejection", onRejection);
  }
}

async function calmDown(stage: Stage, watch: Watch, schedule: Schedule): Promise<void> {
  const { world, isReminded } = schedule;
  const { host, operations, supervisor } = stage;
  watch.note("CALM");
  host.tempers.clear();
  await mustSettle(
    host,
    operations.map(({ done }) => done),
    "an operation",
  );
  if (isReminded) {
    const reminder = { action: "change scale", number: 3, temper: "calm", thenMs: 0 } as const;
    for (const process of ["main", "companion"] as const) perform({ ...reminder, process }, stage);
  }
  await host.clock.advance(CALM_MS);
  watch.check();
  if (supervisor.state !== "running") return;
  const isCutShort = (name: string): boolean =>
    operations.some((operation) => {
      const { process, state, kind } = operation.status();
      if (process !== name) return false;
      return state === "cancelled" || state === "failed" || kind === "stop";
    });
  const isSick = (name: string): boolean =>
    host.launched
      .filter(({ plan }) => plan.env["MILLRACE_PROCESS_NAME"] === name)
      .slice(-MAX_INSTANCES)
      .some(({ plan }) => (plan.env["TEMPER"] ?? "calm") !== "calm");
  const isExcused = (name: string): boolean =>
    (!isReminded && isCutShort(name)) ||
    (name === "main" && world.main.hooks?.postStart?.command[0] === "fails") ||
    (name === "companion" && world.companion.startsWith("scheduled")) ||
    isSick(name);
  const wasEverSick = schedule.steps.some(({ action }) => action === "set temper");
  const problems = (): string[] => watch.unrest(isExcused, wasEverSick);
  // What was launched before may grow still, and this may be the moment when it is replaced.
  await host.clock.advanceUntil(() => problems().length === 0, REPLACED_MS, 100);
  for (const problem of problems()) watch.blame(problem);
  watch.check();
}

async function mustSettle(
  { clock }: SimulatedHost,
  promises: ReadonlyArray<Promise<unknown>>,
  what: string,
): Promise<void> {
  let isSettled = false;
  void Promise.allSettled(promises).then(() => (isSettled = true));
  if (await clock.advanceUntil(() => isSettled, 30 * MINUTE_MS, 1_000)) return;
  throw new Error(`${what} does not end`);
}
