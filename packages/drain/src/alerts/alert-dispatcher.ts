import {
  Backoff,
  type Component,
  defaultLogger,
  defaultMetrics,
  type Health,
  Lifecycle,
  LifecycleComponent,
  LogThrottle,
  messageOf,
  parseOptions,
  publishMetric,
  sleep,
} from "@millrace/core";
import type { Client } from "pg";
import { OnDemandConnection } from "../dead-letters/on-demand-connection.ts";
import { applyStatements } from "../apply-migrations.ts";
import { ALERT_STATEMENTS, CHANNELS_TABLE } from "../schema/alert-tables.ts";
import { type AlertCounts, createAlertCounts, publishAlertMetrics } from "./alert-counts.ts";
import {
  type AlertDispatcherOptions,
  alertDispatcherOptionsSchema,
  type ResolvedAlertDispatcherOptions,
} from "./alert-options.ts";
import { ChannelSender } from "./channel-sender.ts";
import { countPending, queueDeliveries } from "./outbox.ts";
import { pruneAlerts, UNSENT_METRIC } from "./prune-alerts.ts";

/** Sends the alerts that drains write. */
export interface AlertDispatcher extends Component {
  /** What has become of alerts, by channel, since this dispatcher was created. */
  status(): { channels: Record<string, Readonly<AlertCounts>> };
}

/** How often old alerts are deleted, in milliseconds. */
const PRUNE_INTERVAL_MS = 60_000;

/**
 * Creates the component that takes alerts from the outbox of a database, `millrace_alerts`, to people and
 * programs: each at least once to each channel, whatever is killed when. A drain writes them in the
 * transaction that lands the batch, and never waits for a channel.
 *
 * Start one in each agent, or one for all: they share the work. It has one connection, which a pooler
 * in transaction mode may serve, and starts whether or not PostgreSQL answers.
 *
 * @throws {@link MillraceError} `CONFIG_INVALID`.
 * @example
 * ```ts
 * import { postgres } from "@millrace/drain";
 * import { createAlertDispatcher, slackChannel } from "@millrace/drain/alerts";
 *
 * export const dispatcher = (connectionString: string, webhookUrl: string) =>
 *   createAlertDispatcher({
 *     destination: postgres({ connectionString }),
 *     channels: [slackChannel({ webhookUrl })],
 *   });
 * ```
 */
export function createAlertDispatcher(options: AlertDispatcherOptions): AlertDispatcher {
  return new OutboxDispatcher(
    parseOptions(alertDispatcherOptionsSchema, options, "createAlertDispatcher"),
  );
}

class OutboxDispatcher extends LifecycleComponent implements AlertDispatcher {
  readonly name = "alerts";
  protected readonly lifecycle: Lifecycle;
  readonly #options: ResolvedAlertDispatcherOptions;
  readonly #connection: OnDemandConnection;
  readonly #throttle: LogThrottle;
  readonly #counts: ReadonlyMap<string, AlertCounts>;
  readonly #draining = new AbortController();
  readonly #closing = new AbortController();
  #running: Promise<unknown> = Promise.resolve();
  #nextPruneAt = 0;
  #prunedUnsent = 0;

  constructor(options: ResolvedAlertDispatcherOptions) {
    super();
    this.#options = options;
    this.#connection = new OnDemandConnection(options.destination, makeOutbox);
    this.#throttle = new LogThrottle(options.logger ?? defaultLogger());
    this.#counts = new Map(options.channels.map(({ name }) => [name, createAlertCounts()]));
    this.lifecycle = new Lifecycle({
      name: this.name,
      open: (closers) => {
        closers.push(() => Promise.all(options.channels.map(async (channel) => channel.close?.())));
        closers.push(() => this.#connection.close());
        const registry = options.metrics ?? defaultMetrics;
        closers.push(publishAlertMetrics(registry, this.#counts));
        closers.push(publishMetric(registry, UNSENT_METRIC, () => this.#prunedUnsent));
        this.#running = Promise.all([this.#queue(), ...this.#senders().map((each) => each.run())]);
      },
      drain: async (signal) => {
        const cutOff = () => {
          this.#closing.abort();
          void this.#connection.close();
        };
        signal.addEventListener("abort", cutOff, { once: true });
        this.#draining.abort();
        await this.#running;
      },
    });
  }

  status(): { channels: Record<string, Readonly<AlertCounts>> } {
    return { channels: structuredClone(Object.fromEntries(this.#counts)) };
  }

  /** A receiver that is down is no reason to restart an agent: it is a remark. */
  health(): Health {
    const problems = [...this.#counts].flatMap(([channel, { problem }]) =>
      problem === undefined ? [] : `${channel}: ${problem}`,
    );
    if (problems.length === 0) return { healthy: true };
    return { healthy: true, reason: problems.join("; ") };
  }

  #senders(): ChannelSender[] {
    return this.#options.channels.map(
      (channel) =>
        new ChannelSender({
          channel,
          connection: this.#connection,
          options: this.#options,
          counts: this.#counts.get(channel.name) ?? createAlertCounts(),
          throttle: this.#throttle,
          draining: this.#draining.signal,
          closing: this.#closing.signal,
        }),
    );
  }

  /** Gives new alerts to the channels, and deletes old ones, until the dispatcher drains. */
  async #queue(): Promise<void> {
    const { signal } = this.#draining;
    const { pollMs, limits } = this.#options;
    const channels = [...this.#counts.keys()];
    const backoff = new Backoff();
    while (!signal.aborted) {
      try {
        const repeated = await this.#connection.transaction((client) =>
          queueDeliveries(client, channels, limits.issueIntervalMs),
        );
        const pending = await this.#connection.transaction((client) =>
          countPending(client, channels),
        );
        for (const [channel, counts] of this.#counts) {
          counts.suppressed += repeated;
          counts.pending = pending.get(channel) ?? 0;
        }
        await this.#prune();
        backoff.reset();
        await sleep(pollMs, signal);
      } catch (error) {
        const reason = messageOf(error);
        this.#throttle.warn(
          "database",
          () => ({ reason }),
          "alerts wait: their outbox cannot be read",
        );
        await sleep(backoff.nextDelayMs(), signal);
      }
    }
  }

  async #prune(): Promise<void> {
    if (performance.now() < this.#nextPruneAt) return;
    this.#nextPruneAt = performance.now() + PRUNE_INTERVAL_MS;
    const { unsent } = await this.#connection.transaction(pruneAlerts);
    this.#prunedUnsent += unsent;
  }
}

/** A dispatcher that runs beside a drain, or after `migrate()`, needs no right to make tables. */
async function makeOutbox(client: Client): Promise<void> {
  const { rowCount } = await client.query("SELECT FROM pg_class WHERE oid = to_regclass($1)", [
    CHANNELS_TABLE,
  ]);
  if (rowCount === 0) await applyStatements(client, ALERT_STATEMENTS);
}
