import { type HeardEvent, isAfter, type StoredEvent, toSse } from "./stored-event.ts";

const encoder = new TextEncoder();

/** Reads a page of events after an id; empty when there are no more. */
type ReadEvents = (after: string) => Promise<StoredEvent[]>;

export interface SseClientOptions {
  /** What the client has seen. */
  lastEventId: string;
  /** Bytes that may wait for it. */
  maxBytes: number;
  read: ReadEvents;
  onEnd: (reason: "left" | "slow" | "closed") => void;
}

/** One client's stream: what it missed first, then live events, none twice and none left out between. */
export class SseClient {
  readonly stream: ReadableStream<Uint8Array>;
  readonly #options: SseClientOptions;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #lastId: string;
  #isCatchingUp = false;
  /** Whether an event may have come since the last page was asked for: it is in the stream, too. */
  #hasMissed = false;
  #wake: () => void = () => {};

  constructor(options: SseClientOptions) {
    this.#options = options;
    this.#lastId = options.lastEventId;
    this.stream = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => this.#wake(),
        cancel: () => this.#end("left"),
      },
      { highWaterMark: options.maxBytes, size: (chunk) => chunk.byteLength },
    );
  }

  /**
   * Sends what is stored after the last event that it sent, page by page at the client's own pace, then
   * goes live. A stream that cannot be read ends: the client comes back.
   */
  async catchUp(): Promise<void> {
    // Whoever is catching up looks once more.
    this.#hasMissed = true;
    if (this.#isCatchingUp) return;
    this.#isCatchingUp = true;
    try {
      await this.#replay();
    } catch {
      this.close();
    }
  }

  async #replay(): Promise<void> {
    while (this.#controller) {
      this.#hasMissed = false;
      const events = await this.#options.read(this.#lastId);
      if (events.length === 0 && !this.#hasMissed) {
        // In the same turn: what came between the two would be lost.
        this.#isCatchingUp = false;
        return;
      }
      for (const event of events) {
        const bytes = encoder.encode(toSse(event));
        while (this.#controller && !this.#fits(bytes)) {
          await new Promise<void>((resolve) => (this.#wake = resolve));
        }
        this.#controller?.enqueue(bytes);
        this.#lastId = event.id;
      }
    }
  }

  response(): Response {
    return new Response(this.stream, {
      headers: {
        "content-type": "text/event-stream; charset=utf-8",
        "cache-control": "no-cache, no-transform",
        // Proxies of the nginx family hold streams back without it.
        "x-accel-buffering": "no",
      },
    });
  }

  push(event: HeardEvent): void {
    if (this.#isCatchingUp) {
      this.#hasMissed = true;
      return;
    }
    if (!isAfter(event.id, this.#lastId)) return;
    if (event.previousId !== this.#lastId) {
      // One was missed: a connection was broken in between.
      void this.catchUp();
      return;
    }
    this.#lastId = event.id;
    this.#send(toSse(event));
  }

  heartbeat(): void {
    if (!this.#isCatchingUp) this.#send(": \n\n");
  }

  close(): void {
    this.#controller?.close();
    this.#end("closed");
  }

  #send(text: string): void {
    const bytes = encoder.encode(text);
    if (this.#fits(bytes)) {
      this.#controller?.enqueue(bytes);
      return;
    }
    // What waits here is memory; a client that reads slowly comes back with Last-Event-ID.
    this.#controller?.error(new Error("the client reads too slowly"));
    this.#end("slow");
  }

  /** An event larger than the limit goes when nothing else waits. */
  #fits(bytes: Uint8Array): boolean {
    const room = this.#controller?.desiredSize ?? 0;
    return bytes.byteLength <= room || room === this.#options.maxBytes;
  }

  #end(reason: "left" | "slow" | "closed"): void {
    if (!this.#controller) return;
    this.#controller = undefined;
    this.#wake();
    this.#options.onEnd(reason);
  }
}
