import { isSqliteError, LOCK_DEADLINE_MS } from "./database.ts";

/** After that long a waiting thread looks by itself, in milliseconds. */
const LOOK_MS = 5;
/** Who wants the lock says so again within this time, unless it has died: then nobody waits for it. */
const WANT_MS = 20;

const RELEASES = 0;
const LAST = 1;
const APPENDER_WANTS_UNTIL = 2;
const THREAD_WANTS_UNTIL = 3;
const CELLS = 4;

const APPENDER = 1;
const THREAD = 2;

/**
 * Lets the appender and the threads that claim and purge write to one file in turns. SQLite's write
 * lock has no queue: whoever sleeps for it finds it taken again, for seconds where others commit one
 * transaction after the other. Here the side that has written last lets the other side go first,
 * when that wants to write too.
 *
 * Only advice, in shared memory: the lock is SQLite's, and what a thread that was killed has left here
 * is void after 20 ms.
 */
export class WriteTurns {
  /** For the other threads. */
  readonly memory: SharedArrayBuffer;
  readonly #cells: Int32Array;

  constructor(memory = new SharedArrayBuffer(CELLS * Int32Array.BYTES_PER_ELEMENT)) {
    this.memory = memory;
    this.#cells = new Int32Array(memory);
  }

  /** Whether it is the threads' turn: the appender then tries again a little later. */
  get isThreadsTurn(): boolean {
    return this.#isWanted(THREAD_WANTS_UNTIL) && this.#cells[LAST] === APPENDER;
  }

  /** The appender can't write now, and wants to. */
  appenderWants(): void {
    this.#want(APPENDER_WANTS_UNTIL);
  }

  /** The appender has written. */
  appenderHasWritten(): void {
    this.#release(APPENDER, APPENDER_WANTS_UNTIL);
  }

  /**
   * Runs a transaction of a thread on a handle that doesn't wait for locks; blocks the thread until
   * it is its turn and the lock is free.
   *
   * @throws what the transaction throws; SQLite's BUSY after 5 s.
   */
  take<Result>(transaction: () => Result): Result {
    if (this.#isWanted(APPENDER_WANTS_UNTIL) && this.#cells[LAST] === THREAD) this.#wait();
    const result = this.waitingForLock(transaction);
    this.#release(THREAD, THREAD_WANTS_UNTIL);
    return result;
  }

  /** Runs what can be repeated, until no lock is in its way. */
  waitingForLock<Result>(work: () => Result): Result {
    const startedAt = performance.now();
    for (;;) {
      const releases = Atomics.load(this.#cells, RELEASES);
      try {
        return work();
      } catch (error) {
        if (!isSqliteError(error, "SQLITE_BUSY")) throw error;
        if (performance.now() - startedAt > LOCK_DEADLINE_MS) throw error;
        this.#want(THREAD_WANTS_UNTIL);
        this.#wait(releases);
      }
    }
  }

  #wait(releases = Atomics.load(this.#cells, RELEASES)): void {
    Atomics.wait(this.#cells, RELEASES, releases, LOOK_MS);
  }

  #want(until: number): void {
    Atomics.store(this.#cells, until, (Date.now() + WANT_MS) | 0);
  }

  #isWanted(until: number): boolean {
    // Of 32 bits, which wrap around; a clock that was set may not make it last.
    const leftMs = (Atomics.load(this.#cells, until) - Date.now()) | 0;
    return leftMs > 0 && leftMs <= WANT_MS;
  }

  #release(side: number, wanted: number): void {
    Atomics.store(this.#cells, LAST, side);
    Atomics.store(this.#cells, wanted, Date.now() | 0);
    Atomics.add(this.#cells, RELEASES, 1);
    Atomics.notify(this.#cells, RELEASES);
  }
}
