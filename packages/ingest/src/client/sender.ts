import { Backoff, messageOf } from "@millrace/core";
import type { ResolvedIngestClientOptions } from "./ingest-client-options.ts";
import type { Outbox } from "./outbox.ts";
import { ServerConnection } from "./server-connection.ts";

/**
 * Where the client stands with its server: `disconnected` with nothing to send, `waiting` before
 * the next try after a failure.
 */
export type ClientConnectionState = "disconnected" | "connecting" | "connected" | "waiting";

export interface SenderOptions {
  options: ResolvedIngestClientOptions;
  tokenHash: string;
  outbox: Outbox;
  onChanged(state: ClientConnectionState, reason: string | undefined): void;
}

/** Moves batches from the outbox to the server, over one connection at a time. */
export class Sender {
  readonly #context: SenderOptions;
  readonly #backoff: Backoff;
  #state: ClientConnectionState = "disconnected";
  #connection: ServerConnection | undefined;
  #retryTimer: NodeJS.Timeout | undefined;
  /** Whether this connection has accepted a batch: before that, one is at stake at a time. */
  #isProven = false;
  #isStopped = false;
  refusedBatches = 0;
  /** Why nothing is delivered; undefined once a batch was accepted. */
  failure: string | undefined;

  constructor(context: SenderOptions) {
    this.#context = context;
    this.#backoff = new Backoff(context.options.reconnect);
  }

  get state(): ClientConnectionState {
    return this.#state;
  }

  /** Sends what may be sent now; connects if there is no connection and something is due. */
  pump(): void {
    const { outbox, options } = this.#context;
    if (this.#isStopped) return;
    if (this.#state === "disconnected" && outbox.hasDue) this.#connect();
    if (this.#state !== "connected") return;
    const window = this.#isProven ? options.maxUnansweredBatches : 1;
    while (outbox.unansweredBatches < window) {
      const batch = outbox.next();
      if (batch === undefined) return;
      this.#connection?.send(batch.payload);
    }
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#retryTimer);
    this.#connection?.destroy();
    this.#connection = undefined;
    if (this.#state !== "disconnected") this.#move("disconnected", "the client closed");
  }

  #connect(): void {
    const { options, tokenHash } = this.#context;
    this.#move("connecting");
    try {
      this.#connection = new ServerConnection(
        { ...options, tokenHash },
        {
          onOpen: () => {
            this.#move("connected");
            this.pump();
          },
          onReply: (reply) => (reply === "accepted" ? this.#onAccepted() : this.#onRefused()),
          onLost: (reason) => this.#onLost(reason),
        },
      );
    } catch (error) {
      // Unusable `tls` options throw right here.
      this.#retryLater(messageOf(error));
    }
  }

  #onAccepted(): void {
    this.#isProven = true;
    this.failure = undefined;
    this.#backoff.reset();
    this.#context.outbox.acknowledgeFirst();
    this.pump();
  }

  #onRefused(): void {
    this.refusedBatches++;
    this.#connection?.destroy();
    this.#context.outbox.refuseFirst(performance.now(), this.#context.options.refusalRetryMs);
    this.#retryLater("the server refused a batch: it is busy, or does not know the token");
  }

  #onLost(reason: string): void {
    const { outbox } = this.#context;
    const isFailure = this.#state === "connecting" || outbox.unansweredBatches > 0;
    outbox.loseUnanswered();
    if (isFailure) {
      this.#retryLater(reason);
      return;
    }
    this.#connection = undefined;
    this.#isProven = false;
    this.#move("disconnected", reason);
    this.pump();
  }

  #retryLater(reason: string): void {
    this.failure = reason;
    this.#connection = undefined;
    this.#isProven = false;
    this.#retryTimer = setTimeout(() => {
      this.#move("disconnected");
      this.pump();
    }, this.#backoff.nextDelayMs()).unref();
    this.#move("waiting", reason);
  }

  #move(state: ClientConnectionState, reason?: string): void {
    this.#state = state;
    this.#context.onChanged(state, reason);
  }
}
