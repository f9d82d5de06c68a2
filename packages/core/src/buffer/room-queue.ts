const CHECK_MS = 10;

interface Waiter {
  bytes: number;
  resolve: (hasRoom: boolean) => void;
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

  canWait(bytes: number): boolean {
    return this.#bytes + bytes <= this.#maxBytes;
  }

  /** Resolves with true when there is room, with false when the buffer closes first. */
  wait(bytes: number): Promise<boolean> {
    this.#bytes += bytes;
    // Room is made by other threads, in the file: there is no event to wait for.
    this.#timer ??= setInterval(() => this.#admit(), CHECK_MS);
    return new Promise((resolve) => this.#waiters.push({ bytes, resolve }));
  }

  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    for (const { resolve } of this.#waiters) resolve(false);
    this.#waiters = [];
  }

  #admit(): void {
    // One a check beyond the first would need the rows of those admitted before it to be counted,
    // which the group commit does as soon as their promises run: so admit in small turns.
    for (let admitted = 0; admitted < 100 && this.#hasRoom(); admitted++) {
      const waiter = this.#waiters.shift();
      if (waiter === undefined) break;
      this.#bytes -= waiter.bytes;
      waiter.resolve(true);
    }
    if (this.#waiters.length > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
