/** Map from event name to the one payload object that its listeners get. */
export type EventMap = Record<string, object>;

/** Called with the payload of one event. */
export type Listener<Payload> = (payload: Payload) => void;

/** Names and payloads of a component's events, checked by the compiler. */
export class TypedEmitter<Events extends EventMap> {
  readonly #listeners = new Map<keyof Events, Set<{ listener: Listener<never> }>>();
  readonly #onListenerError: (error: unknown, event: keyof Events) => void;

  /** `onListenerError` hears of listeners that throw: they never break the emitter. */
  constructor(onListenerError: (error: unknown, event: keyof Events) => void) {
    this.#onListenerError = onListenerError;
  }

  /** Calls `listener` on each `event` until the returned function is called. */
  on<Name extends keyof Events>(event: Name, listener: Listener<Events[Name]>): () => void {
    let listeners = this.#listeners.get(event);
    if (listeners === undefined) {
      listeners = new Set();
      this.#listeners.set(event, listeners);
    }
    const entry = { listener };
    listeners.add(entry);
    return () => listeners.delete(entry);
  }

  emit<Name extends keyof Events>(event: Name, payload: Events[Name]): void {
    const listeners = this.#listeners.get(event);
    if (listeners === undefined) return;
    for (const entry of [...listeners] as Array<{ listener: Listener<Events[Name]> }>) {
      if (!listeners.has(entry)) continue;
      try {
        const result: unknown = entry.listener(payload);
        if (result instanceof Promise) {
          result.catch((error: unknown) => this.#onListenerError(error, event));
        }
      } catch (error) {
        this.#onListenerError(error, event);
      }
    }
  }
}
