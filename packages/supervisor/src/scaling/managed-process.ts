import { MillraceError } from "@millrace/core";
import type { SupervisorErrorCode } from "../errors.ts";
import { type Clock, sleep } from "../host/clock.ts";
import { Instance } from "../process/instance.ts";
import type { InstanceServices } from "../process/instance-services.ts";
import type { ProcessSpec } from "../process/process-spec.ts";
import { instanceId } from "../process/launch-plan.ts";
import { OperationQueue } from "./operation-queue.ts";
import type { OperationContext } from "./operation-queue.ts";
import type { OperationStatus } from "./operation.ts";
import { chooseVictims, lowestFreeNumbers } from "./victims.ts";

/** How fast a change of scale goes. */
export interface ScaleSteps {
  /** Instances per step. @default all at once */
  step?: number | undefined;
  /** Pause between steps, in milliseconds. @default 0 */
  delayMs?: number | undefined;
}

/** What a process tells its supervisor. */
export interface ProcessReports {
  onOperation(status: OperationStatus): void;
  onDesired(process: string, from: number, to: number, reason: string): void;
}

/** All instances of one process: which there are, and the primitive changes to that. */
export class ManagedProcess {
  readonly name: string;
  readonly operations: OperationQueue;
  readonly clock: Clock;
  /** Instances by number. */
  readonly instances = new Map<number, Instance>();
  /** Instances on their way out, replaced or surplus. */
  readonly retiring = new Set<Instance>();
  /** Replacements that are not ready yet. */
  readonly surging = new Set<Instance>();
  readonly #services: InstanceServices;
  readonly #reports: ProcessReports;
  spec: ProcessSpec;
  /** Specs that can be rolled back to, newest last. */
  readonly previousSpecs: ProcessSpec[] = [];
  /** Numbers that run a canary's spec instead. */
  readonly canaryNumbers = new Set<number>();
  canarySpec: ProcessSpec | undefined;
  /** Port of the listener that its instances share, once it is open. */
  listenPort: number | undefined;
  /** When its schedule last fired, in milliseconds since the epoch, under whichever supervisor. */
  scheduledAtMs: number | undefined;
  /** Stopped as a whole by a person or a program, and not started since. */
  isStoppedByHand = false;
  #desired = 0;

  constructor(spec: ProcessSpec, services: InstanceServices, reports: ProcessReports) {
    this.name = spec.name;
    this.spec = spec;
    this.#services = services;
    this.#reports = reports;
    this.clock = services.host.clock;
    this.operations = new OperationQueue(spec.name, this.clock, (status) =>
      reports.onOperation(status),
    );
  }

  get desired(): number {
    return this.#desired;
  }

  /** Instances that run or wait to run again. */
  get active(): Instance[] {
    return [...this.instances.values()].filter((instance) => instance.isActive);
  }

  get current(): number {
    return this.active.length;
  }

  /** Every instance there is, those on their way in or out included. */
  get all(): Instance[] {
    return [...this.instances.values(), ...this.surging, ...this.retiring].toSorted(
      (left, right) => left.number - right.number || left.spec.generation - right.spec.generation,
    );
  }

  /** @throws {@link MillraceError} `SUPERVISOR_SCALE_OUT_OF_RANGE` */
  setDesired(desired: number, reason: string): void {
    const { minScale, maxScale } = this.spec.options;
    if (!Number.isInteger(desired) || desired < minScale || desired > maxScale) {
      throw new MillraceError<SupervisorErrorCode>(
        "SUPERVISOR_SCALE_OUT_OF_RANGE",
        `${this.name} cannot have ${desired} instances: minScale is ${minScale}, maxScale ${maxScale}`,
        { details: { process: this.name, desired, minScale, maxScale } },
      );
    }
    const from = this.#desired;
    this.#desired = desired;
    if (from !== desired) this.#reports.onDesired(this.name, from, desired, reason);
  }

  /** Brings the number of active instances to `desired`, in steps if asked for. */
  async converge(
    desired: number,
    { step, delayMs = 0 }: ScaleSteps,
    { signal, progress }: OperationContext,
    reason: string,
  ): Promise<void> {
    const total = Math.abs(desired - this.current);
    const stopping: Array<Promise<void>> = [];
    const begun = new Set<Instance>();
    // What has been started and has ended by itself has had its turn, as a oneshot.
    const reached = (): number =>
      this.current + [...begun].filter(({ isActive }) => !isActive).length;
    while (reached() !== desired) {
      signal.throwIfAborted();
      const missing = desired - reached();
      const batch = Math.min(Math.abs(missing), step ?? Number.POSITIVE_INFINITY);
      if (missing > 0) await this.#startMissing(batch, begun, signal, reason);
      else stopping.push(...this.#retireSurplus(batch, reason));
      const done = total - Math.abs(desired - reached());
      progress(done, total, `${this.current} of ${desired} instances`);
      if (reached() !== desired && delayMs > 0) await sleep(this.clock, delayMs, signal);
    }
    stopping.push(...this.#retireEnded(desired));
    await abortable(Promise.all(stopping), signal);
    progress(total, total, `${desired} instances`);
  }

  /** Starts one number, waiting until a predecessor with that number is gone. */
  async startNumber(number: number, reason: string, signal: AbortSignal): Promise<Instance> {
    const predecessors = [...this.retiring].filter((instance) => instance.number === number);
    await abortable(Promise.all(predecessors.map((instance) => instance.stop(reason))), signal);
    signal.throwIfAborted();
    const spec = this.specFor(number);
    let instance = this.instances.get(number);
    // A rollout that was cut short may have left one that runs another spec: it stays as it is.
    if (instance?.isActive === true) return instance;
    if (instance !== undefined && instance.spec !== spec) {
      await abortable(this.retire(instance, reason), signal);
      instance = undefined;
    }
    if (instance === undefined) {
      instance = this.createInstance(number, spec);
      this.instances.set(number, instance);
    }
    instance.start(reason);
    return instance;
  }

  /** The spec that an instance of this number runs. */
  specFor(number: number): ProcessSpec {
    return this.canarySpec !== undefined && this.canaryNumbers.has(number)
      ? this.canarySpec
      : this.spec;
  }

  createInstance(number: number, spec: ProcessSpec): Instance {
    return new Instance(spec, number, this.#services);
  }

  /** Takes an instance out and stops it; resolves when nothing of it is left. */
  retire(instance: Instance, reason: string): Promise<void> {
    if (this.instances.get(instance.number) === instance) this.instances.delete(instance.number);
    this.surging.delete(instance);
    this.retiring.add(instance);
    return instance.stop(reason).finally(() => this.retiring.delete(instance));
  }

  /** Waits for what earlier operations have left on its way out: it counts until it is gone. */
  async whenRetired(signal: AbortSignal): Promise<void> {
    const stopping = [...this.retiring].map((instance) => instance.stop("replaced"));
    await abortable(Promise.all(stopping), signal);
  }

  /** @throws {@link MillraceError} `SUPERVISOR_INSTANCE_UNKNOWN` */
  instance(number: number): Instance {
    const instance = this.instances.get(number);
    if (instance !== undefined) return instance;
    throw new MillraceError<SupervisorErrorCode>(
      "SUPERVISOR_INSTANCE_UNKNOWN",
      `there is no instance ${instanceId(this.name, number)}: ${this.name} has ${this.current}`,
      { details: { process: this.name, number } },
    );
  }

  async #startMissing(
    count: number,
    begun: Set<Instance>,
    signal: AbortSignal,
    reason: string,
  ): Promise<void> {
    const taken = new Set([...this.active, ...begun].map(({ number }) => number));
    for (const number of lowestFreeNumbers(taken, count)) {
      signal.throwIfAborted();
      begun.add(await this.startNumber(number, reason, signal));
      // Starting a process blocks the event loop for milliseconds: let others have their turn.
      await this.clock.nextTurn();
    }
  }

  #retireSurplus(count: number, reason: string): Array<Promise<void>> {
    const victims = chooseVictims(this.active, count, this.spec.options.victims);
    return victims.map((instance) => this.retire(instance, reason));
  }

  /** Lets go of instances that ended and are not wanted any more. */
  #retireEnded(desired: number): Array<Promise<void>> {
    const surplus = Math.max(0, this.instances.size - desired);
    return [...this.instances.values()]
      .filter(({ isActive }) => !isActive)
      .slice(0, surplus)
      .map((instance) => this.retire(instance, "surplus"));
  }
}

/** `promise`, or a rejection as soon as `signal` fires. */
export async function abortable<Result>(
  promise: Promise<Result>,
  signal: AbortSignal,
): Promise<Result> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void =>
    reject(signal.reason instanceof Error ? signal.reason : new Error("aborted"));
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
