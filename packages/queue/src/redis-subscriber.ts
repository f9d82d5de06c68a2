import { sleep } from "@millrace/core";
import { Cluster } from "ioredis";
import { duplicateClient, type RedisClient } from "./redis-client.ts";

/** Pause between tries to subscribe again, in milliseconds. */
const RETRY_MS = 500;
/**
 * How often a cluster's subscriber looks at its connections, in milliseconds: of several that break
 * together ioredis may take note of the first only.
 */
const REFRESH_MS = 5_000;

interface SubscriberOptions {
  onMessage: (channel: string, message: string) => void;
  /** After a broken connection, once every channel is subscribed again: messages may have been missed. */
  onReturn: () => void;
  onError: (error: unknown) => void;
}

/** The command that messages to a {@link RedisSubscriber} of this client are sent with. */
export function publishCommand(client: RedisClient): "PUBLISH" | "SPUBLISH" {
  return client instanceof Cluster ? "SPUBLISH" : "PUBLISH";
}

/** One connection for all subscriptions of a component; in a cluster one to each shard (Redis 7). */
export class RedisSubscriber {
  readonly #connection: RedisClient;
  readonly #isSharded: boolean;
  readonly #options: SubscriberOptions;
  /** Subscriptions under way or done, by channel. */
  readonly #subscribed = new Map<string, Promise<unknown>>();
  readonly #abort = new AbortController();

  constructor(client: RedisClient, options: SubscriberOptions) {
    this.#options = options;
    this.#isSharded = client instanceof Cluster;
    this.#connection =
      client instanceof Cluster
        ? client.duplicate(undefined, {
            shardedSubscribers: true,
            slotsRefreshInterval: REFRESH_MS,
          })
        : duplicateClient(client);
    this.#connection.on("error", options.onError);
    this.#connection.on(this.#isSharded ? "smessage" : "message", options.onMessage);
    this.#connection.on(this.#isSharded ? "subscribersReady" : "ready", () => void this.#return());
  }

  /** ioredis's word for it, as `ready` or `reconnecting`. */
  get status(): string {
    return this.#connection.status;
  }

  /** Resolves when messages to the channel are received. */
  async subscribe(channel: string): Promise<void> {
    const subscribed = this.#subscribed.get(channel) ?? this.#send(channel);
    this.#subscribed.set(channel, subscribed);
    try {
      await subscribed;
    } catch (error) {
      if (this.#subscribed.get(channel) === subscribed) this.#subscribed.delete(channel);
      throw error;
    }
  }

  unsubscribe(channel: string): void {
    if (!this.#subscribed.delete(channel) || this.#abort.signal.aborted) return;
    const leaving = this.#isSharded
      ? this.#connection.sunsubscribe(channel)
      : this.#connection.unsubscribe(channel);
    // A connection that is gone has no subscriptions left.
    leaving.catch(() => {});
  }

  close(): void {
    this.#abort.abort();
    this.#connection.disconnect();
  }

  /** ioredis subscribes again by itself, and does not say when that is done: asking once more does. */
  async #return(): Promise<void> {
    const { signal } = this.#abort;
    for (;;) {
      try {
        await Promise.all([...this.#subscribed.keys()].map((channel) => this.#send(channel)));
        break;
      } catch (error) {
        this.#options.onError(error);
        if (!(await sleep(RETRY_MS, signal))) return;
      }
    }
    if (!signal.aborted) this.#options.onReturn();
  }

  #send(channel: string): Promise<unknown> {
    return this.#isSharded
      ? this.#connection.ssubscribe(channel)
      : this.#connection.subscribe(channel);
  }
}
