import { MillraceError } from "@millrace/core";
import type { Operation, Supervisor } from "@millrace/supervisor";
import fc from "fast-check";
import { TEMPERS } from "./behaviour.ts";
import type { SimulatedHost } from "./simulated-host.ts";
import type { Load } from "./world.ts";

const ACTIONS = [
  "scale",
  "scale",
  "scale by steps",
  "change scale",
  "start",
  "stop",
  "restart",
  "start one",
  "stop one",
  "restart one",
  "roll out",
  "roll back",
  "canary",
  "cancel",
  "set temper",
  "set temper",
  "end one",
  "end one",
  "kill one",
  "set load",
  "wake",
  "trigger",
  "pause",
  "resume",
  "wait for ready",
  "wait",
] as const;

/** Something that happens, and how long nothing does after it. */
export const steps = fc.record({
  action: fc.constantFrom(...ACTIONS),
  process: fc.constantFrom("main", "main", "main", "companion"),
  number: fc.nat(6),
  temper: fc.constantFrom(...TEMPERS),
  thenMs: fc.constantFrom(0, 0, 1, 20, 300, 2_000, 15_000),
});

export type Step = typeof steps extends fc.Arbitrary<infer Value> ? Value : never;

/** What steps act on, and what they leave behind. */
export interface Stage {
  host: SimulatedHost;
  supervisor: Supervisor;
  load: Load;
  operations: Operation[];
  waits: Array<Promise<unknown>>;
}

/** Carries out a step; what is refused with an error that says so is refused rightly. */
export function perform(step: Step, stage: Stage): void {
  try {
    act(step, stage);
  } catch (error) {
    if (!MillraceError.is(error) || !error.code.startsWith("SUPERVISOR_")) throw error;
  }
}

function act({ action, process, number, temper }: Step, stage: Stage): void {
  const { host, supervisor, load, operations } = stage;
  const one = `${process}-${number}`;
  const remember = (operation: Operation): void => void operations.push(operation);
  const env = { TEMPER: number % 2 === 0 ? "calm" : temper };
  const running = host.running;
  switch (action) {
    case "scale":
      return remember(supervisor.scale(process, number));
    case "scale by steps":
      return remember(supervisor.scale(process, number, { step: 1, delayMs: 300 }));
    case "change scale":
      return remember(supervisor.scale(process, { delta: number - 3 }));
    case "start":
      return remember(supervisor.startProcess(process));
    case "stop":
      return remember(supervisor.stopProcess(process));
    case "restart":
      return remember(supervisor.restart(process));
    case "start one":
      return remember(supervisor.startProcess(one));
    case "stop one":
      return remember(supervisor.stopProcess(one));
    case "restart one":
      return remember(supervisor.restart(one));
    case "roll out":
      return remember(supervisor.rollout(process, { env }));
    case "roll back":
      return remember(supervisor.rollback(process));
    case "canary":
      return remember(supervisor.canary(process, { patch: { env }, steps: [1, 2], holdMs: 3_000 }));
    case "cancel":
      return operations.at(-1 - number)?.cancel();
    case "set temper":
      return void host.tempers.set(process, temper);
    case "end one":
      return running[number]?.end({ code: number % 3, signal: null });
    case "kill one":
      return running[number]?.signal("SIGKILL");
    case "set load":
      load.wanted = number === 6 ? undefined : number;
      return;
    case "wake":
      return void supervisor.wake(process);
    case "trigger":
      return void supervisor.triggerSchedule(process);
    case "pause":
      return supervisor.pauseSchedule(process);
    case "resume":
      return supervisor.resumeSchedule(process);
    case "wait for ready":
      stage.waits.push(supervisor.whenReady(process, { timeoutMs: 5_000 }).catch(() => {}));
      return;
    case "wait":
      return;
    default:
      return action satisfies never;
  }
}
