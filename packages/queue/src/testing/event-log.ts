import type { HeardEvent, StoredEvent } from "../events/stored-event.ts";
import type { FakeClock } from "./fake-clock.ts";

/** The events of one tenant that clients who come back may ask for. */
export class EventLog {
  readonly listeners = new Set<(event: HeardEvent) => void>();
  readonly #clock: FakeClock;
  #events: StoredEvent[] = [];
  #last = { ms: 0, sequence: 0 };
  #goesAt = Number.POSITIVE_INFINITY;

  constructor(clock: FakeClock) {
    this.#clock = clock;
  }

  get events(): readonly StoredEvent[] {
    if (this.#clock.now() >= this.#goesAt) this.#events = [];
    return this.#events;
  }

  append(
    event: Omit<StoredEvent, "id">,
    { keepEvents, keepSeconds }: { keepEvents: number; keepSeconds: number },
  ): string {
    const ms = this.#clock.now();
    const sequence = ms > this.#last.ms ? 0 : this.#last.sequence + 1;
    this.#last = { ms, sequence };
    const previousId = this.events.at(-1)?.id ?? "0-0";
    const stored = { ...event, id: `${ms}-${sequence}` };
    this.#events = [...this.events, stored].slice(-keepEvents);
    this.#goesAt = ms + keepSeconds * 1_000;
    for (const listener of this.listeners) listener({ ...stored, previousId });
    return stored.id;
  }
}
