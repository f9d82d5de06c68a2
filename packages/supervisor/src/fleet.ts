import { MillraceError } from "@millrace/core";
import type { SupervisorErrorCode } from "./errors.ts";
import { mergeProcessOptions, type ProcessPatch } from "./options/merge-process-options.ts";
import type { Instance } from "./process/instance.ts";
import type { InstanceServices } from "./process/instance-services.ts";
import type { ProcessSpec } from "./process/process-spec.ts";
import { ManagedProcess, type ProcessReports, type ScaleSteps } from "./scaling/managed-process.ts";
import type { Operation, OperationStatus } from "./scaling/operation.ts";
import { replaceNumber, rollOut, rolloutLimitsOf } from "./scaling/rollout.ts";

const MAX_OPERATIONS = 1_000;
const MAX_PREVIOUS_SPECS = 10;

/** A number of instances, or a change of it. */
export type ScaleTarget = number | { desired: number } | { delta: number };

/** Every process and the changes that people, programs and autoscalers make to them. */
export class Fleet {
  readonly processes = new Map<string, ManagedProcess>();
  readonly #operations = new Map<string, Operation>();
  readonly #maxInstances: number;
  /** Where each process stood when it was stopped, for the next `start`. */
  readonly #desiredBeforeStop = new Map<string, number>();

  constructor(
    specs: readonly ProcessSpec[],
    services: (spec: ProcessSpec) => InstanceServices,
    reports: ProcessReports,
    maxInstances: number,
  ) {
    this.#maxInstances = maxInstances;
    for (const spec of specs) {
      this.processes.set(spec.name, new ManagedProcess(spec, services(spec), reports));
    }
  }

  /** @throws {@link MillraceError} `SUPERVISOR_PROCESS_UNKNOWN` */
  process(name: string): ManagedProcess {
    const process = this.processes.get(name);
    if (process !== undefined) return process;
    throw new MillraceError<SupervisorErrorCode>(
      "SUPERVISOR_PROCESS_UNKNOWN",
      `there is no process ${name}: there are ${[...this.processes.keys()].join(", ") || "none"}`,
      { details: { process: name } },
    );
  }

  /** A process by its name, or an instance of one by `name-number`. */
  resolve(name: string): { process: ManagedProcess; instance: Instance | undefined } {
    const exact = this.processes.get(name);
    if (exact !== undefined) return { process: exact, instance: undefined };
    const match = /^(.+)-(\d+)$/.exec(name);
    const process = this.processes.get(match?.[1] ?? "");
    if (process === undefined) return { process: this.process(name), instance: undefined };
    const number = Number(match?.[2]);
    // While one replaces another, what is listed is all there is of that number.
    const instance =
      process.instances.get(number) ??
      process.all.find((one) => one.number === number) ??
      process.instance(number);
    return { process, instance };
  }

  /**
   * Changes how many instances a process has.
   *
   * @throws {@link MillraceError} `SUPERVISOR_PROCESS_UNKNOWN`, `SUPERVISOR_SCALE_OUT_OF_RANGE`.
   */
  scale(name: string, target: ScaleTarget, steps: ScaleSteps = {}, reason = "manual"): Operation {
    const process = this.process(name);
    const desired = desiredOf(process, target);
    this.#checkTotal(process, desired);
    process.setDesired(desired, reason);
    process.isStoppedByHand = false;
    return this.submit(process, "scale", undefined, (context) =>
      process.converge(desired, steps, context, `scaled: ${reason}`),
    );
  }

  /** Starts a stopped process at its last scale, or one instance of it. */
  start(name: string, reason = "started"): Operation {
    const { process, instance } = this.resolve(name);
    if (instance !== undefined) {
      return this.submit(process, "start", instance.id, async ({ signal }) => {
        // What was scaled away while this waited for its turn must not come back above the scale.
        const { number } = process.instance(instance.number);
        await process.startNumber(number, reason, signal);
      });
    }
    process.isStoppedByHand = false;
    if (process.desired === 0) {
      const before = this.#desiredBeforeStop.get(name) ?? 1;
      process.setDesired(Math.max(1, before), reason);
    }
    const { desired } = process;
    return this.submit(process, "start", undefined, (context) =>
      process.converge(desired, {}, context, reason),
    );
  }

  /** Stops a process, or one instance of it, which then stays down. */
  stop(name: string, reason = "stopped"): Operation {
    const { process, instance } = this.resolve(name);
    if (instance !== undefined) {
      return this.submit(process, "stop", instance.id, async () => {
        // By its number: a rollout before it may have put another one in its place.
        await process.instances.get(instance.number)?.stop(reason);
      });
    }
    if (process.desired > 0) this.#desiredBeforeStop.set(name, process.desired);
    process.isStoppedByHand = true;
    return this.submit(process, "stop", undefined, async ({ progress }) => {
      const { all } = process;
      await Promise.all(all.map((one) => process.retire(one, reason)));
      progress(all.length, all.length, "stopped");
    });
  }

  /** Replaces every instance, or one of them, by one of the same kind. */
  restart(name: string, reason = "restarted"): Operation {
    const { process, instance } = this.resolve(name);
    if (instance !== undefined) {
      return this.submit(process, "restart", instance.id, async ({ signal }) => {
        const current = process.instance(instance.number);
        await current.stop(reason);
        const next = await process.startNumber(current.number, reason, signal);
        await next.whenReady(signal);
      });
    }
    process.isStoppedByHand = false;
    return this.submit(process, "restart", undefined, async (context) => {
      const numbers = process.active.map(({ number }) => number);
      if (numbers.length === 0) await process.converge(process.desired, {}, context, reason);
      else await this.#rollBySpec(process, numbers, context);
    });
  }

  /** Replaces one instance, the new one first where that is allowed: for limits, not for people. */
  recycle(process: ManagedProcess, instance: Instance): Operation {
    const { maxSurge, minReadyMs } = rolloutLimitsOf(process.spec);
    return this.submit(process, "restart", instance.id, async ({ signal }) => {
      await process.whenRetired(signal);
      if (process.instances.get(instance.number) !== instance) return;
      const spec = process.specFor(instance.number);
      await replaceNumber(process, instance.number, spec, {
        surge: maxSurge > 0,
        minReadyMs,
        signal,
      });
    });
  }

  /**
   * Replaces every instance by one of the next generation, with `patch` on top of its options.
   * Fails and puts the old generation back when an instance doesn't become ready.
   */
  rollout(name: string, patch: ProcessPatch = {}): Operation {
    const process = this.process(name);
    const options = mergeProcessOptions(name, process.spec.options, patch);
    return this.submit(process, "rollout", undefined, async (context) => {
      const previous = process.spec;
      const next = { name, generation: previous.generation + 1, options };
      await rollOut(
        process,
        next,
        process.active.map(({ number }) => number),
        context,
      );
      process.spec = next;
      process.previousSpecs.push(previous);
      if (process.previousSpecs.length > MAX_PREVIOUS_SPECS) process.previousSpecs.shift();
    });
  }

  /**
   * Rolls out the options of the generation before.
   *
   * @throws {@link MillraceError} `SUPERVISOR_NOTHING_TO_ROLL_BACK`.
   */
  rollback(name: string): Operation {
    const process = this.process(name);
    const target = process.previousSpecs.at(-1);
    if (target === undefined) {
      throw new MillraceError<SupervisorErrorCode>(
        "SUPERVISOR_NOTHING_TO_ROLL_BACK",
        `${name} runs its first generation: there was no rollout to undo`,
        { details: { process: name } },
      );
    }
    return this.submit(process, "rollback", undefined, async (context) => {
      const next = { ...target, generation: process.spec.generation + 1 };
      await rollOut(
        process,
        next,
        process.active.map(({ number }) => number),
        context,
      );
      process.spec = next;
      process.previousSpecs.pop();
    });
  }

  /** @throws {@link MillraceError} `SUPERVISOR_OPERATION_UNKNOWN`: only the newest 1,000 are kept. */
  operation(id: string): Operation {
    const operation = this.#operations.get(id);
    if (operation !== undefined) return operation;
    throw new MillraceError<SupervisorErrorCode>(
      "SUPERVISOR_OPERATION_UNKNOWN",
      `there is no operation ${id}; the newest ${MAX_OPERATIONS} are kept`,
    );
  }

  /** Operations on a process that are still remembered, oldest first. */
  operationsOf(name: string): OperationStatus[] {
    return [...this.#operations.values()]
      .map((operation) => operation.status())
      .filter(({ process }) => process === name);
  }

  /** Hands work to a process's queue and remembers the operation. */
  submit(
    process: ManagedProcess,
    ...[kind, instance, work]: Parameters<ManagedProcess["operations"]["submit"]>
  ): Operation {
    const operation = process.operations.submit(kind, instance, work);
    this.#operations.set(operation.id, operation);
    if (this.#operations.size > MAX_OPERATIONS) {
      const [oldest] = this.#operations.keys();
      if (oldest !== undefined) this.#operations.delete(oldest);
    }
    return operation;
  }

  async #rollBySpec(
    process: ManagedProcess,
    numbers: readonly number[],
    context: Parameters<typeof rollOut>[3],
  ): Promise<void> {
    const stable = numbers.filter((number) => process.specFor(number) === process.spec);
    const canaries = numbers.filter((number) => process.specFor(number) !== process.spec);
    await rollOut(process, process.spec, stable, context);
    if (process.canarySpec !== undefined)
      await rollOut(process, process.canarySpec, canaries, context);
  }

  #checkTotal(process: ManagedProcess, desired: number): void {
    let total = desired - process.desired;
    for (const other of this.processes.values()) total += other.desired;
    if (total <= this.#maxInstances) return;
    throw new MillraceError<SupervisorErrorCode>(
      "SUPERVISOR_SCALE_OUT_OF_RANGE",
      `${process.name} cannot have ${desired} instances: all processes together would have ${total}, ` +
        `maxInstances is ${this.#maxInstances}`,
      { details: { process: process.name, desired, maxInstances: this.#maxInstances } },
    );
  }
}

function desiredOf(process: ManagedProcess, target: ScaleTarget): number {
  if (typeof target === "number") return target;
  return "desired" in target ? target.desired : process.desired + target.delta;
}
