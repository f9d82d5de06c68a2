const CHECK_MS = 10;

interface Waiter {
  bytes: number;
  enter: () => Promise<void>;
  resolve: (result: Promise<void>) => void;
  reject: (error: unknown) => void;
}

/** Appends that wait, in order and bounded in bytes, for a full buffer to have room again. */
export class RoomQueue {
  readonly #maxBytes: number;
  readonly #hasRoom: () => boolean;
  #waiters: Waiter[] = [];
  #bytes = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: { maxBytes: number; hasRoom: () => boolean }) {
    this.#maxBytes = options.maxBytes;
    this.#hasRoom = options.hasRoom;
  }

  /** True while something waits: whoever comes now has to queue behind it. */
  get isWaiting(): boolean {
    return this.#waiters.length > 0;
  }

  canWait(bytes: number): boolean {
    return this.#bytes + bytes <= this.#maxBytes;
  }

  /** Calls `enter` when there is room and settles as it does. */
  wait(bytes: number, enter: () => Promise<void>): Promise<void> {
    this.#bytes += bytes;
    // Room is made by other threads, in the file: there is no event to wait for.
    this.#timer ??= setInterval(() => this.#admit(), CHECK_MS);
    return new Promise((resolve, reject) => this.#waiters.push({ bytes, enter, resolve, reject }));
  }

  /** Rejects everything that still waits with `reason`. */
  close(reason: Error): void {
    this.#stopChecking();
    this.#bytes = 0;
    for (const { reject } of this.#waiters.splice(0)) reject(reason);
  }

  #admit(): void {
    let admitted = 0;
    // Entering is synchronous, so that each one counts before the next is asked for.
    while (admitted < this.#waiters.length && this.#hasRoom()) {
      const waiter = this.#waiters[admitted++];
      if (waiter === undefined) break;
      this.#bytes -= waiter.bytes;
      waiter.resolve(waiter.enter());
    }
    this.#waiters.splice(0, admitted);
    if (this.#waiters.length === 0) this.#stopChecking();
  }

  #stopChecking(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
