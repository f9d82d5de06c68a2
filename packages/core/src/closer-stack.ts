import { messageOf, MillraceError } from "./errors.ts";

/** Closers of what was opened so far, run last opened first. */
export class CloserStack {
  readonly #closers: Array<() => unknown> = [];

  push(closer: () => unknown): void {
    this.#closers.push(closer);
  }

  /**
   * Runs and forgets every closer, even when one throws.
   *
   * @throws {@link MillraceError} `CLOSE_FAILED` with all failures in `cause`.
   */
  async close(): Promise<void> {
    const failures: unknown[] = [];
    for (let closer = this.#closers.pop(); closer; closer = this.#closers.pop()) {
      try {
        await closer();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length === 0) return;
    throw new MillraceError(
      "CLOSE_FAILED",
      `${failures.length} part(s) did not close cleanly, the rest did (${failures.map(messageOf).join("; ")}): see cause`,
      { cause: failures.length === 1 ? failures[0] : new AggregateError(failures) },
    );
  }
}
