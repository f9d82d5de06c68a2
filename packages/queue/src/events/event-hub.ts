import {
  type CloserStack,
  type Component,
  defaultLogger,
  defaultMetrics,
  type Health,
  Lifecycle,
  LifecycleComponent,
  type MetricsRegistry,
  parseOptions,
  publishMetric,
} from "@millrace/core";
import { queueError } from "../errors.ts";
import { prepareScripts, runScript } from "../lua-scripts.ts";
import { openRedis, type RedisClient, redisHealth } from "../redis-client.ts";
import { publishCommand, RedisSubscriber } from "../redis-subscriber.ts";
import { assertTenantId } from "../tenants/tenant-id.ts";
import {
  type EventHubOptions,
  eventHubOptionsSchema,
  type ResolvedEventHubOptions,
} from "./event-hub-options.ts";
import { SseClient } from "./sse-client.ts";
import { assertEventType, type HeardEvent, isEventId, type StoredEvent } from "./stored-event.ts";

/** An event for a tenant's clients. */
export interface TenantEvent {
  /** Name that clients listen for: letters, digits, `_`, `.`, `:` and `-`. */
  type: string;
  /** Anything that JSON can hold. */
  data: unknown;
}

/** What an event hub has done since its start. */
export interface EventHubStatus {
  /** Clients served by this process. */
  clients: number;
  published: number;
  /** Clients dropped because they read too slowly. */
  dropped: number;
}

/** Events of tenants for their browsers: any process publishes, any process serves any tenant. */
export interface EventHub extends Component {
  /** @returns the event's id. */
  publish(tenantId: string, event: TenantEvent): Promise<string>;
  /**
   * A `text/event-stream` response with a tenant's events. Check first that the client may see them.
   *
   * @param lastEventId the request's `Last-Event-ID`: what came after it is sent first; without one
   * the stream begins now.
   */
  sse(tenantId: string, lastEventId?: string): Promise<Response>;
  status(): EventHubStatus;
}

/**
 * Creates the hub: a Redis stream per tenant for clients that come back, publish and subscribe for
 * those that are here, over one subscriber connection per process (sharded in a cluster, Redis 7).
 *
 * @throws {@link MillraceError} `CONFIG_INVALID` for bad options.
 */
export function createEventHub(options: EventHubOptions): EventHub {
  return new RedisEventHub(parseOptions(eventHubOptionsSchema, options, "createEventHub"));
}

const PAGE_EVENTS = 100;

class RedisEventHub extends LifecycleComponent implements EventHub {
  readonly name = "events";
  readonly #options: ResolvedEventHubOptions;
  protected readonly lifecycle: Lifecycle;
  readonly #clients = new Map<string, Set<SseClient>>();
  readonly #counts = { published: 0, dropped: 0 };
  #parts: { client: RedisClient; subscriber: RedisSubscriber } | undefined;

  constructor(options: ResolvedEventHubOptions) {
    super();
    this.#options = options;
    this.lifecycle = new Lifecycle({
      name: this.name,
      open: (closers, signal) => this.#open(closers, signal),
    });
  }

  health(): Health {
    return redisHealth(this.#parts?.subscriber, "subscriber");
  }

  status(): EventHubStatus {
    let clients = 0;
    for (const set of this.#clients.values()) clients += set.size;
    return { ...this.#counts, clients };
  }

  async publish(tenantId: string, { type, data }: TenantEvent): Promise<string> {
    assertTenantId(tenantId);
    assertEventType(type);
    const { client } = this.#running();
    const id = (await runScript(
      client,
      "publish-event",
      [this.#key("stream", tenantId)],
      [
        this.#key("channel", tenantId),
        publishCommand(client),
        type,
        JSON.stringify(data ?? null),
        this.#options.keepEvents,
        this.#options.keepSeconds,
      ],
    )) as string;
    this.#counts.published++;
    return id;
  }

  async sse(tenantId: string, lastEventId?: string): Promise<Response> {
    assertTenantId(tenantId);
    const { subscriber } = this.#running();
    const isReturning = lastEventId !== undefined && isEventId(lastEventId);
    const sse = new SseClient({
      lastEventId: isReturning ? lastEventId : await this.#newestId(tenantId),
      maxBytes: this.#options.maxClientBytes,
      // Subscribed before reading, so that nothing published in between is missed.
      read: async (after) => {
        await subscribed;
        return this.#read(tenantId, after);
      },
      onEnd: (reason) => this.#leave(tenantId, sse, reason),
    });
    const set = this.#clients.get(tenantId) ?? new Set();
    this.#clients.set(tenantId, set.add(sse));
    const subscribed = subscriber.subscribe(this.#key("channel", tenantId));
    // At the client's pace, so not awaited.
    void sse.catchUp();
    await subscribed;
    return sse.response();
  }

  async #newestId(tenantId: string): Promise<string> {
    const { client } = this.#running();
    const stream = this.#key("stream", tenantId);
    const [newest] = await client.xrevrange(stream, "+", "-", "COUNT", 1);
    return newest?.[0] ?? "0-0";
  }

  async #read(tenantId: string, after: string): Promise<StoredEvent[]> {
    const { client } = this.#running();
    const stream = this.#key("stream", tenantId);
    const entries = await client.xrange(stream, `(${after}`, "+", "COUNT", PAGE_EVENTS);
    return entries.map(([id, fields]) => toStoredEvent(id, fields));
  }

  async #open(closers: CloserStack, signal: AbortSignal): Promise<void> {
    const { connection, logger = defaultLogger() } = this.#options;
    const client = await openRedis(connection, { closers, signal, logger });
    prepareScripts(client);
    const subscriber = new RedisSubscriber(client, {
      onMessage: (channel, message) => this.#deliver(channel, message),
      onReturn: () => this.#catchUp(),
      onError: (error) => logger.warn({ err: error }, "event subscriber"),
    });
    closers.push(() => subscriber.close());
    this.#parts = { client, subscriber };
    const timer = setInterval(
      () => this.#forEachClient((sse) => sse.heartbeat()),
      this.#options.heartbeatMs,
    );
    timer.unref();
    closers.push(() => clearInterval(timer));
    closers.push(() => this.#forEachClient((sse) => sse.close()));
    closers.push(
      publishClients(this.#options.metrics ?? defaultMetrics, () => this.status().clients),
    );
  }

  #deliver(channel: string, message: string): void {
    const tenantId = channel.slice(channel.lastIndexOf("}:channel:") + "}:channel:".length);
    const clients = this.#clients.get(tenantId);
    if (!clients) return;
    const event = JSON.parse(message) as HeardEvent;
    for (const sse of clients) sse.push(event);
  }

  /** What was published while the subscriber was away is in the streams. */
  #catchUp(): void {
    this.#forEachClient((sse) => void sse.catchUp());
  }

  #leave(tenantId: string, sse: SseClient, reason: string): void {
    if (reason === "slow") this.#counts.dropped++;
    const clients = this.#clients.get(tenantId);
    clients?.delete(sse);
    if (!clients || clients.size > 0) return;
    this.#clients.delete(tenantId);
    this.#parts?.subscriber.unsubscribe(this.#key("channel", tenantId));
  }

  #forEachClient(visit: (sse: SseClient) => void): void {
    for (const clients of this.#clients.values()) for (const sse of clients) visit(sse);
  }

  /** One tag per tenant: tenants spread over a cluster, a tenant's stream and channel stay together. */
  #key(kind: "stream" | "channel", tenantId: string): string {
    return `{${this.#options.prefix}:events:${tenantId}}:${kind}:${tenantId}`;
  }

  #running() {
    if (this.#parts && this.state === "running") return this.#parts;
    throw queueError(
      "QUEUE_CLOSED",
      `the event hub is ${this.state}: use it between start() and close()`,
    );
  }
}

/** Publishes how many clients are served. @returns a function that withdraws it. */
export function publishClients(registry: MetricsRegistry, clients: () => number): () => void {
  return publishMetric(
    registry,
    {
      type: "gauge",
      name: "millrace_events_clients",
      help: "Clients that this process serves events.",
    },
    clients,
  );
}

function toStoredEvent(id: string, fields: string[]): StoredEvent {
  return { id, type: fields[1] ?? "message", data: fields[3] ?? "null" };
}
