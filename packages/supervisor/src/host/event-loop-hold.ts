/** Something that keeps the program alive while it is referenced, as a timer does. */
export interface LoopHandle {
  ref(): unknown;
  unref(): unknown;
  close(): unknown;
}

/**
 * Keeps the program alive while a supervisor runs, unless it was told not to. Nothing else of a
 * supervisor does: its timers, children, pipes, channels and servers are all unreferenced, so that
 * there is one thing to hold and to let go of.
 */
export class EventLoopHold {
  readonly #open: () => LoopHandle;
  #handle: LoopHandle | undefined;
  #isWanted = true;
  #isUnderWay = false;

  constructor(open: () => LoopHandle) {
    this.#open = open;
  }

  /** A start or an end is under way: whatever was wanted, the program must not end half-way. */
  begin(): void {
    this.#handle ??= this.#open();
    this.#isUnderWay = true;
    this.#apply();
  }

  /** It runs. */
  settle(): void {
    this.#isUnderWay = false;
    this.#apply();
  }

  /** Whether to keep the program alive while it runs. */
  want(isWanted: boolean): void {
    this.#isWanted = isWanted;
    this.#apply();
  }

  close(): void {
    this.#handle?.close();
    this.#handle = undefined;
  }

  #apply(): void {
    if (this.#isWanted || this.#isUnderWay) this.#handle?.ref();
    else this.#handle?.unref();
  }
}
