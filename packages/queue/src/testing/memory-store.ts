import { setImmediate as nextTurn } from "node:timers/promises";
import type { GateKeys } from "../gate/gate-keys.ts";
import type { ManualClock } from "./fake-clock.ts";
import { KeptQueue } from "./kept-queue.ts";

/** What all components of one backend share, in place of a Redis. */
export class MemoryStore {
  readonly clock: ManualClock;
  readonly #queues = new Map<string, KeptQueue>();
  readonly #shared = new Map<string, unknown>();
  readonly #runs = new Set<Promise<void>>();

  constructor(clock: ManualClock) {
    this.clock = clock;
  }

  /** The one queue under these keys, whoever asks. */
  queue(keys: GateKeys): KeptQueue {
    const qualifiedName = keys.bullmq.slice(0, -1);
    let queue = this.#queues.get(qualifiedName);
    if (!queue) {
      queue = new KeptQueue(keys, this.clock, (name) => this.#queues.get(name));
      this.#queues.set(qualifiedName, queue);
    }
    return queue;
  }

  /** The one thing under this name, whoever asks. */
  shared<Value extends object>(name: string, create: () => Value): Value {
    let value = this.#shared.get(name) as Value | undefined;
    if (!value) {
      value = create();
      this.#shared.set(name, value);
    }
    return value;
  }

  /** Counts a run, which never rejects, as work in hand. */
  track(run: Promise<void>): void {
    this.#runs.add(run);
    void run.then(() => this.#runs.delete(run));
  }

  async settled(): Promise<void> {
    do {
      await Promise.all(this.#runs);
      // Whoever waited for what ended goes on first.
      await nextTurn();
    } while (this.#runs.size > 0);
  }
}
