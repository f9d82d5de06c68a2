import type { ClassWeights } from "./class-turns.ts";
import type { ManualClock } from "./fake-clock.ts";
import { FairGate } from "./fair-gate.ts";
import { ReadyLine } from "./ready-line.ts";
import { Takers } from "./takers.ts";
import type { TaskRecord } from "./task-record.ts";

/** A queue's gate, the line of what it admitted, the workers that take from there, and the timers of all. */
export class Admissions {
  readonly takers = new Takers();
  readonly #clock: ManualClock;
  #line = new ReadyLine();
  #gate: FairGate;
  #cancelFeed: () => void = () => {};

  constructor(clock: ManualClock) {
    this.#clock = clock;
    this.#gate = this.#newGate();
  }

  get gate(): FairGate {
    return this.#gate;
  }

  setClassWeights(weights: ClassWeights): void {
    this.#gate.turns.weights = weights;
  }

  /** After workers came, went or changed: what is admitted ahead follows what runs at once. */
  fitWindow(): void {
    this.#gate.window = Math.max(16, Math.ceil(1.5 * this.takers.concurrency));
    this.#gate.feed(this.#gate.window);
    this.comeToRest();
  }

  /** Puts a task in line, before others of its priority or after them. */
  enqueue(task: TaskRecord, isFirst = false): void {
    task.cancelTimer();
    task.state = "ready";
    this.#line.enter(task, isFirst);
  }

  enqueueAt(task: TaskRecord, time: number): void {
    task.cancelTimer = this.#clock.at(time, () => {
      this.enqueue(task);
      this.comeToRest();
    });
  }

  take(): TaskRecord | undefined {
    return this.#line.take();
  }

  /** Forgets a task that has not finished and does not run. */
  drop(task: TaskRecord): void {
    task.cancelTimer();
    this.#line.leave(task);
    this.#gate.drop(task, task.attemptsStarted > 0);
  }

  /** Forgets every task and tenant. */
  clear(): void {
    this.#line = new ReadyLine();
    const { window, turns } = this.#gate;
    this.#gate = this.#newGate();
    this.#gate.window = window;
    this.setClassWeights(turns.weights);
    this.comeToRest();
  }

  /** What every change ends with: workers look again, and the gate is fed when something comes due. */
  comeToRest(): void {
    this.takers.wake();
    this.#cancelFeed();
    const dueAt = this.#gate.nextDueAt;
    if (dueAt === undefined) return;
    this.#cancelFeed = this.#clock.at(dueAt, () => {
      this.#gate.feed(this.#gate.window);
      this.comeToRest();
    });
  }

  #newGate(): FairGate {
    return new FairGate({
      now: () => this.#clock.now(),
      readyTasks: () => this.#line.length,
      admit: (admitted) => {
        const task = admitted as TaskRecord;
        task.grantedFor = task.attemptsStarted + 1;
        this.enqueue(task);
      },
    });
  }
}
