import { type Clock, timestamp } from "./host/clock.ts";

/** An event as it is streamed: names and payloads are those of the supervisor's `on`. */
export interface JournalEntry {
  /** Grows by one; SSE's `Last-Event-ID`. */
  id: number;
  /** ISO 8601. */
  time: string;
  event: string;
  payload: object;
}

/** The newest events, for clients that come late or come back, and a feed of those to come. */
export class EventJournal {
  readonly #entries: JournalEntry[] = [];
  readonly #capacity: number;
  readonly #clock: Clock;
  readonly #listeners = new Set<(entry: JournalEntry) => void>();
  #lastId = 0;

  constructor(capacity: number, clock: Clock) {
    this.#clock = clock;
    this.#capacity = capacity;
  }

  append(event: string, payload: object): void {
    const entry = { id: ++this.#lastId, time: timestamp(this.#clock), event, payload };
    this.#entries.push(entry);
    if (this.#entries.length > this.#capacity) this.#entries.shift();
    for (const listener of this.#listeners) listener(entry);
  }

  /** What came after `id`, as far as it is still kept, oldest first. */
  since(id: number): JournalEntry[] {
    return this.#entries.filter((entry) => entry.id > id);
  }

  /**
   * What came after `afterId`, the newest without, and then what comes, until `signal` fires. Who
   * is too slow for what is kept misses the oldest, which the ids tell.
   */
  async *follow(afterId: number | undefined, signal: AbortSignal): AsyncGenerator<JournalEntry> {
    let lastId = afterId ?? this.#lastId;
    for (;;) {
      const entries = this.since(lastId);
      if (entries.length === 0 && signal.aborted) return;
      for (const entry of entries) {
        lastId = entry.id;
        yield entry;
      }
      if (lastId === this.#lastId && !signal.aborted) await this.#next(signal);
    }
  }

  /** Waits for the next event, or until `signal` fires. */
  #next(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#listeners.delete(wake);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      this.#listeners.add(wake);
      signal.addEventListener("abort", wake);
    });
  }

  subscribe(listener: (entry: JournalEntry) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
