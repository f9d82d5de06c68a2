import { MillraceError } from "@millrace/core";
import type { SupervisorErrorCode } from "./errors.ts";
import type { Fleet } from "./fleet.ts";
import { type Clock, timeoutSignal } from "./host/clock.ts";
import { abortable } from "./scaling/managed-process.ts";

/** Lets callers wait until every instance of some processes is ready. */
export class ReadyWait {
  readonly #fleet: Fleet;
  readonly #clock: Clock;
  readonly #waiters = new Set<() => void>();

  constructor(fleet: Fleet, clock: Clock) {
    this.#fleet = fleet;
    this.#clock = clock;
  }

  /** Something has changed. */
  look(): void {
    for (const wake of this.#waiters) wake();
    this.#waiters.clear();
  }

  /** @throws {@link MillraceError} `SUPERVISOR_READY_TIMED_OUT` */
  async until(names: readonly string[], timeoutMs: number): Promise<void> {
    const { signal, timer } = timeoutSignal(this.#clock, timeoutMs);
    try {
      await this.#waitFor(names, signal, timeoutMs);
    } finally {
      timer.close();
    }
  }

  async #waitFor(names: readonly string[], timeout: AbortSignal, timeoutMs: number): Promise<void> {
    while (!names.every((name) => this.#isReady(name))) {
      const changed = new Promise<void>((resolve) => {
        this.#waiters.add(resolve);
      });
      await abortable(changed, timeout).catch(() => {
        throw new MillraceError<SupervisorErrorCode>(
          "SUPERVISOR_READY_TIMED_OUT",
          `${names.join(", ")} did not become ready within ${timeoutMs} ms: ${this.#unready(names)}`,
        );
      });
    }
  }

  #isReady(name: string): boolean {
    const { active, desired } = this.#fleet.process(name);
    return active.filter(({ state }) => state === "ready").length >= desired;
  }

  #unready(names: readonly string[]): string {
    return names
      .flatMap((name) => this.#fleet.process(name).active)
      .filter(({ state }) => state !== "ready")
      .map(({ id, state, reason }) => `${id} is ${state} (${reason})`)
      .join("; ");
  }
}
