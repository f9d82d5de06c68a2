import { Backoff, type LogThrottle } from "@millrace/core";
import { Fifo } from "../client/fifo.ts";
import type { SendResult, UpstreamLink } from "./upstream-link.ts";

/** Every end of a copy, for `status()` and metrics. */
const MIRROR_OUTCOMES = [
  "delivered",
  "refused",
  "timed_out",
  "broken",
  "queue_full",
  "closed",
] as const;

/**
 * What became of copies: only `delivered` ones arrived for certain. Of `timed_out` and `broken`
 * ones nobody can tell; `queue_full` and `closed` ones were not sent, or were cut off by `close`.
 */
export type MirrorOutcome = (typeof MIRROR_OUTCOMES)[number];

/** Counters of one upstream. */
export interface MirrorUpstreamStatus {
  payloads: Record<MirrorOutcome, number>;
  /** Waiting or on their way. */
  queuedPayloads: number;
  queuedBytes: number;
}

/** One payload on its way to one upstream; the bytes are shared with the others. */
export interface MirrorCopy {
  payload: Uint8Array;
  token: string;
  heldBytes: number;
}

export interface UpstreamMirrorOptions {
  name: string;
  link: UpstreamLink;
  concurrency: number;
  maxQueueBytes: number;
  throttle: LogThrottle;
}

/**
 * The queue of one upstream. Taking a copy costs the local path a place in it and nothing else.
 *
 * Each copy gets one try, unless nothing of it was sent. After a failure the upstream is left alone
 * for a while and then tried with a single copy, so that a dead one costs no more than a try now
 * and then.
 */
export class UpstreamMirror {
  readonly name: string;
  readonly #options: UpstreamMirrorOptions;
  readonly #waiting = new Fifo<MirrorCopy>();
  readonly #backoff = new Backoff({ baseMs: 100, capMs: 5_000 });
  readonly #payloads = Object.fromEntries(MIRROR_OUTCOMES.map((outcome) => [outcome, 0])) as Record<
    MirrorOutcome,
    number
  >;
  readonly #closed = Promise.withResolvers<void>();
  #queuedBytes = 0;
  #active = 0;
  #isHealthy = true;
  #pause: NodeJS.Timeout | undefined;
  #isClosing = false;
  #isCutOff = false;

  constructor(options: UpstreamMirrorOptions) {
    this.name = options.name;
    this.#options = options;
  }

  /** Queues a copy; makes room for it by dropping the oldest that wait. */
  forward(copy: MirrorCopy): void {
    this.#queuedBytes += copy.heldBytes;
    if (this.#isCutOff || copy.heldBytes > this.#options.maxQueueBytes) {
      this.#settle(copy, this.#isCutOff ? "closed" : "queue_full");
      return;
    }
    this.#waiting.push(copy);
    while (this.#queuedBytes > this.#options.maxQueueBytes) {
      const oldest = this.#waiting.shift();
      if (oldest === undefined) break;
      this.#settle(oldest, "queue_full");
    }
    this.#pump();
  }

  status(): MirrorUpstreamStatus {
    return {
      payloads: { ...this.#payloads },
      queuedPayloads: this.#waiting.size + this.#active,
      queuedBytes: this.#queuedBytes,
    };
  }

  /** Empties the queue until `signal` fires, then drops what is left. */
  async close(signal: AbortSignal): Promise<void> {
    this.#isClosing = true;
    const cutOff = () => this.#cutOff();
    if (signal.aborted) cutOff();
    signal.addEventListener("abort", cutOff, { once: true });
    this.#finishIfEmpty();
    await this.#closed.promise;
    signal.removeEventListener("abort", cutOff);
    clearTimeout(this.#pause);
    await this.#options.link.destroy();
  }

  #pump(): void {
    const limit = this.#isHealthy ? this.#options.concurrency : 1;
    while (this.#active < limit && this.#pause === undefined) {
      const copy = this.#waiting.shift();
      if (copy === undefined) return;
      void this.#send(copy);
    }
  }

  async #send(copy: MirrorCopy): Promise<void> {
    this.#active++;
    const result = await this.#options.link
      .send(copy.payload, copy.token)
      .catch((): SendResult => "broken");
    this.#active--;
    if (this.#isCutOff) this.#settle(copy, result === "delivered" ? result : "closed");
    else if (result === "unreachable") this.#waiting.unshift(copy);
    else this.#settle(copy, result);
    // A refusal is an answer: it costs no more than a delivery.
    if (result === "delivered" || result === "refused") {
      this.#isHealthy = true;
      this.#backoff.reset();
    } else this.#rest(result);
    this.#finishIfEmpty();
    this.#pump();
  }

  #rest(result: SendResult): void {
    this.#isHealthy = false;
    if (this.#pause !== undefined || this.#isCutOff) return;
    this.#options.throttle.warn(
      `mirror ${this.name}`,
      () => ({ upstream: this.name, result, ...this.status() }),
      "a mirror's upstream does not take copies: payloads are stored all the same",
    );
    this.#pause = setTimeout(() => {
      this.#pause = undefined;
      this.#pump();
    }, this.#backoff.nextDelayMs());
  }

  #settle(copy: MirrorCopy, outcome: MirrorOutcome): void {
    this.#queuedBytes -= copy.heldBytes;
    this.#payloads[outcome]++;
  }

  #dropWaiting(outcome: MirrorOutcome): void {
    for (let copy = this.#waiting.shift(); copy; copy = this.#waiting.shift()) {
      this.#settle(copy, outcome);
    }
  }

  #cutOff(): void {
    this.#isCutOff = true;
    clearTimeout(this.#pause);
    this.#pause = undefined;
    this.#dropWaiting("closed");
    void this.#options.link.destroy();
    this.#finishIfEmpty();
  }

  #finishIfEmpty(): void {
    if (this.#isClosing && this.#active === 0 && this.#waiting.size === 0) this.#closed.resolve();
  }
}
