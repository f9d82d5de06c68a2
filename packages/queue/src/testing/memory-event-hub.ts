import {
  type CloserStack,
  defaultMetrics,
  type Health,
  Lifecycle,
  LifecycleComponent,
} from "@millrace/core";
import { queueError } from "../errors.ts";
import {
  type EventHub,
  type EventHubStatus,
  publishClients,
  type TenantEvent,
} from "../events/event-hub.ts";
import type { ResolvedEventHubOptions } from "../events/event-hub-options.ts";
import { SseClient } from "../events/sse-client.ts";
import { assertEventType, isAfter, isEventId } from "../events/stored-event.ts";
import { assertTenantId } from "../tenants/tenant-id.ts";
import { EventLog } from "./event-log.ts";
import type { MemoryStore } from "./memory-store.ts";

/** An event hub of a backend in memory. */
export class MemoryEventHub extends LifecycleComponent implements EventHub {
  readonly name = "events";
  readonly #options: ResolvedEventHubOptions;
  readonly #store: MemoryStore;
  readonly #clients = new Set<SseClient>();
  readonly #counts = { published: 0, dropped: 0 };
  protected readonly lifecycle = new Lifecycle({
    name: this.name,
    open: (closers) => this.#open(closers),
  });

  constructor(options: ResolvedEventHubOptions, store: MemoryStore) {
    super();
    this.#options = options;
    this.#store = store;
  }

  health(): Health {
    return this.state === "running"
      ? { healthy: true }
      : { healthy: false, reason: `the event hub is ${this.state}` };
  }

  status(): EventHubStatus {
    return { ...this.#counts, clients: this.#clients.size };
  }

  async publish(tenantId: string, { type, data }: TenantEvent): Promise<string> {
    assertTenantId(tenantId);
    assertEventType(type);
    const id = this.#log(tenantId).append(
      { type, data: JSON.stringify(data ?? null) },
      this.#options,
    );
    this.#counts.published++;
    return id;
  }

  async sse(tenantId: string, lastEventId?: string): Promise<Response> {
    assertTenantId(tenantId);
    const log = this.#log(tenantId);
    const isReturning = lastEventId !== undefined && isEventId(lastEventId);
    const client = new SseClient({
      lastEventId: isReturning ? lastEventId : (log.events.at(-1)?.id ?? "0-0"),
      maxBytes: this.#options.maxClientBytes,
      read: async (after) => log.events.filter(({ id }) => isAfter(id, after)),
      onEnd: (reason) => {
        if (reason === "slow") this.#counts.dropped++;
        this.#clients.delete(client);
        log.listeners.delete(push);
      },
    });
    const push: SseClient["push"] = (event) => client.push(event);
    this.#clients.add(client);
    log.listeners.add(push);
    // At the client's own pace, so not awaited.
    void client.catchUp();
    return client.response();
  }

  #log(tenantId: string): EventLog {
    if (this.state !== "running") {
      throw queueError(
        "QUEUE_CLOSED",
        `the event hub is ${this.state}: use it between start() and close()`,
      );
    }
    const { clock } = this.#store;
    const name = `events:${this.#options.prefix}:${tenantId}`;
    return this.#store.shared(name, () => new EventLog(clock));
  }

  #open(closers: CloserStack): void {
    const registry = this.#options.metrics ?? defaultMetrics;
    closers.push(publishClients(registry, () => this.status().clients));
    closers.push(() => {
      for (const client of this.#clients) client.close();
    });
    this.#beat(closers);
  }

  #beat(closers: CloserStack): void {
    const { clock } = this.#store;
    let cancel: (() => void) | undefined;
    const beat = () => {
      for (const client of this.#clients) client.heartbeat();
      cancel = clock.at(clock.now() + this.#options.heartbeatMs, beat);
    };
    cancel = clock.at(clock.now() + this.#options.heartbeatMs, beat);
    closers.push(() => cancel?.());
  }
}
