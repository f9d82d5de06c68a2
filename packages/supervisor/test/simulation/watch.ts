import type { OperationStatus, ProcessStatus, Supervisor } from "@millrace/supervisor";
import { canMove, type InstanceState } from "../../src/process/instance-state.ts";
import type { SimulatedHost } from "./simulated-host.ts";
import type { World } from "./world.ts";

const SERVING: ReadonlySet<InstanceState> = new Set(["starting", "ready", "unhealthy"]);
const TRAIL = 40;
const SETTLED_MS = 60_000;

/** Looks at all that a supervisor does and says, and fails as soon as it isn't as promised. */
export class Watch {
  readonly #world: World;
  readonly #host: SimulatedHost;
  readonly #supervisor: Supervisor;
  readonly #problems: string[] = [];
  readonly #trail: string[] = [];
  /** Most instances that each process may have wanted at once since it last was as wanted. */
  readonly #ceilings = new Map<string, number>();
  readonly #outcomes = new Map<string, OperationStatus>();
  readonly #unfinished = new Map<string, Set<string>>();
  /** When something of an operation on each process was last heard. */
  readonly #heardAt = new Map<string, number>();
  #isOver = false;

  constructor(world: World, host: SimulatedHost, supervisor: Supervisor) {
    this.#world = world;
    this.#host = host;
    this.#supervisor = supervisor;
    host.onLaunch = (process) => this.#onLaunch(process);
    supervisor.on("instance:changed", ({ instance, from, to, reason }) => {
      this.#note(`${instance} ${from} -> ${to}: ${reason}`);
      if (!canMove(from, to)) this.#blame(`${instance} went from ${from} to ${to}`);
      if (reason === "") this.#blame(`${instance} became ${to} without a reason`);
    });
    supervisor.on("process:scaled", ({ process, from, to, reason }) => {
      this.#note(`${process} wants ${to} after ${from}: ${reason}`);
      const ceiling = this.#ceilings.get(process) ?? 0;
      this.#ceilings.set(process, Math.max(ceiling, from, to));
      if (reason === "") this.#blame(`${process} was scaled without a reason`);
    });
    supervisor.on("operation:changed", (status) => this.#onOperation(status));
  }

  /** Something that was done, for the story of a failure. */
  note(text: string): void {
    this.#note(text);
  }

  /** Something that must not have happened. */
  blame(text: string): void {
    this.#blame(text);
  }

  /** @throws when something isn't as it has to be at any moment */
  check(): void {
    const { processes } = this.#supervisor.status();
    for (const process of processes) this.#checkProcess(process);
    const known = processes.flatMap(({ instances }) => instances.flatMap(({ pid }) => pid ?? []));
    const { running } = this.#host;
    const strangers = running.filter(({ pid }) => pid !== undefined && !known.includes(pid));
    const ghosts = known.filter((pid) => !running.some((one) => one.pid === pid));
    for (const { plan, startedMonotonicMs } of strangers) {
      const { MILLRACE_INSTANCE_ID: id, MILLRACE_GENERATION: generation } = plan.env;
      this.#blame(`nobody knows ${id} of generation ${generation}, since ${startedMonotonicMs} ms`);
    }
    if (ghosts.length > 0) this.#blame(`there are no processes ${ghosts.join(", ")}`);
    this.#throwProblems();
  }

  /** What after a long calm isn't as wanted, with nothing that says why. */
  unrest(isExcused: (process: string) => boolean, wasEverSick: boolean): string[] {
    const { processes } = this.#supervisor.status();
    return processes
      .filter(({ name }) => !isExcused(name))
      .flatMap((process) => [
        // What was sick may have kept a canary from being replaced by what it replaced.
        ...(wasEverSick ? [] : this.#mixedGenerations(process)),
        ...this.#unrestOf(process),
      ]);
  }

  /** @throws when something is left of a supervisor that was closed */
  checkClosed(): void {
    this.#isOver = true;
    const left = this.#host.leftovers();
    if (left.length > 0) this.#blame(`left alive: ${left.join(", ")}`);
    if (this.#host.clock.pending > 0) this.#blame(`${this.#host.clock.pending} timers are left`);
    const { guardian } = this.#host;
    if (guardian.groups.size > 0) this.#blame(`guarded still: ${[...guardian.groups].join(", ")}`);
    if (guardian.isRunning) this.#blame("the guardian runs still");
    for (const [process, ids] of this.#unfinished) {
      if (ids.size > 0) this.#blame(`${ids.size} operations on ${process} have no outcome`);
    }
    this.#throwProblems();
  }

  #unrestOf({ name, desired, scale, instances }: ProcessStatus): string[] {
    const problems: string[] = [];
    if (scale > desired) problems.push(`${name} has ${scale} instances and wants ${desired}`);
    const ended = instances.filter(({ state }) => state === "stopped" || state === "failed");
    if (scale + ended.length < desired) {
      problems.push(`${name} wants ${desired} instances, has ${scale}, ${ended.length} ended`);
    }
    for (const { name: id, state, reason } of instances) {
      const { because } = this.#supervisor.explain(id);
      if (because.length === 0) problems.push(`nothing explains ${id}`);
      if (["ready", "stopped", "failed", "unhealthy"].includes(state)) continue;
      problems.push(`${id} is ${state} although all is calm: ${reason}`);
    }
    return problems;
  }

  /** Only a rollout that was ended half-way may leave generations side by side. */
  #mixedGenerations({ name, generation, instances }: ProcessStatus): string[] {
    const endedHalfWay = [...this.#outcomes.values()].some(
      ({ process, kind, state, error }) =>
        process === name &&
        (kind === "rollout" || kind === "rollback") &&
        state !== "succeeded" &&
        error?.code !== "SUPERVISOR_ROLLED_BACK",
    );
    const others = instances.filter(
      (one) => one.generation !== generation && SERVING.has(one.state),
    );
    if (endedHalfWay || others.length === 0) return [];
    return [`${name} is at ${generation}: ${others.map((one) => one.generation).join(", ")}`];
  }

  #checkProcess({ name, desired, scale, instances }: ProcessStatus): void {
    const serving = instances.filter(({ state }) => SERVING.has(state));
    const numbers = new Set(serving.map(({ number }) => number));
    if (serving.length - numbers.size > this.#surge(name)) {
      this.#blame(`${name} runs a number too often: ${serving.map((one) => one.name).join(", ")}`);
    }
    // Work that was superseded goes on for a while, and what waits for its turn isn't heard of.
    const quietMs = this.#host.clock.monotonicMs() - (this.#heardAt.get(name) ?? 0);
    if (quietMs > SETTLED_MS && scale <= desired && serving.length <= desired) {
      this.#ceilings.set(name, desired);
    }
  }

  #onLaunch(name: string): void {
    if (this.#isOver) this.#blame(`${name} was launched after the end`);
    if (name === "companion" && this.#world.companion.startsWith("scheduled")) return;
    const { instances } = this.#supervisor.process(name);
    // What is on its way out is counted too, until it is gone.
    const there = instances.filter(({ state, pid }) => pid !== null || state === "starting").length;
    const most = (this.#ceilings.get(name) ?? 0) + this.#surge(name);
    if (there > most) this.#blame(`${name} has ${there} instances, ${most} are allowed`);
  }

  #onOperation(status: OperationStatus): void {
    const { id, process, kind, state, error, endedAt, message } = status;
    this.#note(`${kind} of ${status.instance ?? process} ${state} ${error?.message ?? message}`);
    this.#heardAt.set(process, this.#host.clock.monotonicMs());
    const unfinished = this.#unfinished.get(process) ?? new Set();
    this.#unfinished.set(process, unfinished.add(id));
    const before = this.#outcomes.get(id);
    if (before !== undefined) this.#blame(`${kind} was ${before.state} and then ${state}`);
    if (endedAt === undefined) return;
    unfinished.delete(id);
    this.#outcomes.set(id, status);
    if (state === "pending" || state === "running") this.#blame(`${kind} ended as ${state}`);
    if (state === "failed" && error?.code.startsWith("SUPERVISOR_") !== true) {
      this.#blame(`${kind} failed for no reason of its own: ${error?.code} ${error?.message}`);
    }
  }

  #surge(name: string): number {
    const rollout: { maxSurge?: number; maxUnavailable?: number } =
      (name === "main" ? this.#world.main.rollout : undefined) ?? {};
    const { maxSurge, maxUnavailable } = rollout;
    return maxSurge ?? (maxUnavailable === undefined ? 1 : 0);
  }

  #note(text: string): void {
    this.#trail.push(`${Math.round(this.#host.clock.monotonicMs())} ms: ${text}`);
    if (this.#trail.length > TRAIL) this.#trail.shift();
  }

  #blame(problem: string): void {
    this.#problems.push(problem);
    this.#note(`PROBLEM: ${problem}`);
  }

  #throwProblems(): void {
    if (this.#problems.length === 0) return;
    throw new Error(`${this.#problems.join("\n")}\nafter\n${this.#trail.join("\n")}`);
  }
}
