/** Whoever takes tasks of a queue. */
export interface Taker {
  readonly concurrency: number;
  /** Takes one task if there is one and it may run one more. @returns whether it did. */
  takeOne(): boolean;
}

/** The workers of a queue, in turns. */
export class Takers {
  readonly #takers = new Set<Taker>();
  #isWaking = false;

  get concurrency(): number {
    let total = 0;
    for (const { concurrency } of this.#takers) total += concurrency;
    return total;
  }

  add(taker: Taker): void {
    this.#takers.add(taker);
  }

  delete(taker: Taker): void {
    this.#takers.delete(taker);
  }

  /** Lets everybody take what there is, once the change under way is done. */
  wake(): void {
    if (this.#isWaking) return;
    this.#isWaking = true;
    queueMicrotask(() => {
      this.#isWaking = false;
      let isTaken = true;
      while (isTaken) {
        isTaken = false;
        for (const taker of this.#takers) isTaken = taker.takeOne() || isTaken;
      }
    });
  }
}
