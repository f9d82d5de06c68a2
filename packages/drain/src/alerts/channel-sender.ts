import { Backoff, type LogThrottle, messageOf, MillraceError, sleep } from "@millrace/core";
import type { OnDemandConnection } from "../dead-letters/on-demand-connection.ts";
import type { Alert, AlertChannel, AlertMessage } from "./alert.ts";
import type { AlertCounts } from "./alert-counts.ts";
import type { ResolvedAlertDispatcherOptions } from "./alert-options.ts";
import {
  claimAlerts,
  type ClaimedAlert,
  messageId,
  releaseAlerts,
  settleAlerts,
} from "./outbox.ts";

interface ChannelSenderOptions {
  channel: AlertChannel;
  connection: OnDemandConnection;
  options: ResolvedAlertDispatcherOptions;
  counts: AlertCounts;
  throttle: LogThrottle;
  /** Fires when nothing new is to be claimed. */
  draining: AbortSignal;
  /** Fires when what is in hand is to be cut off. */
  closing: AbortSignal;
}

/** Takes alerts to one channel, whatever becomes of the others. */
export class ChannelSender {
  readonly #options: ChannelSenderOptions;
  /** Of the channel; that of all its dispatchers is `resume_at`. */
  readonly #backoff: Backoff;

  constructor(options: ChannelSenderOptions) {
    this.#options = options;
    this.#backoff = new Backoff({ baseMs: 1_000, capMs: options.options.maxPauseMs });
  }

  async run(): Promise<void> {
    const { channel, connection, options, draining, throttle } = this.#options;
    const { limits, leaseMs, timeoutMs, pollMs } = options;
    const databaseBackoff = new Backoff();
    while (!draining.aborted) {
      try {
        const claimed = await connection.transaction((client) =>
          claimAlerts(client, channel.name, { ...limits, leaseMs, timeoutMs }),
        );
        databaseBackoff.reset();
        if (claimed === undefined) await sleep(pollMs, draining);
        else if (claimed.isGrouped) await this.#send([claimed.alerts]);
        else await this.#send(claimed.alerts.map((alert) => [alert]));
      } catch (error) {
        if (draining.aborted) return;
        const reason = messageOf(error);
        throttle.warn("database", () => ({ reason }), "alerts wait: their outbox cannot be read");
        await sleep(databaseBackoff.nextDelayMs(), draining);
      }
    }
  }

  /** Sends messages one after another; with the first that fails, the others wait. */
  async #send(messages: ClaimedAlert[][]): Promise<void> {
    const { counts, draining } = this.#options;
    for (const [index, alerts] of messages.entries()) {
      const rest = messages.slice(index).flat();
      if (draining.aborted && index > 0) return this.#release(rest, "closing", 0);
      try {
        await this.#sendOne(alerts);
      } catch (error) {
        const reason = messageOf(error);
        if (!MillraceError.is(error) || error.retryable) {
          counts.failedTries += alerts.length;
          return this.#pause(rest, reason, error);
        }
        counts.rejected += alerts.length;
        this.#warn(reason, "an alert was rejected and will not be sent again");
        await this.#insist(alerts, { result: "rejected", reason });
        continue;
      }
      this.#backoff.reset();
      counts.problem = undefined;
      counts.sent += alerts.length;
      if (alerts.length > 1) counts.digests++;
      // At once: whoever kills this process in between has one message repeated, not all.
      await this.#insist(alerts, { result: "sent" });
    }
  }

  async #sendOne(alerts: readonly ClaimedAlert[]): Promise<void> {
    const { channel, options, closing } = this.#options;
    const [first, ...others] = alerts.map((alert) => this.#publicAlert(alert));
    if (first === undefined) return;
    const message: AlertMessage = { id: messageId(alerts), alerts: [first, ...others] };
    const timeout = AbortSignal.timeout(options.timeoutMs);
    const signal = AbortSignal.any([timeout, closing]);
    const cut = Promise.withResolvers<never>();
    const onAbort = () => cut.reject(signal.reason as Error);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      await Promise.race([channel.send(message, signal), cut.promise]);
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  #publicAlert({ alertId: _alertId, ...alert }: ClaimedAlert): Alert {
    const { link } = this.#options.options;
    if (link === undefined) return alert;
    try {
      return { ...alert, url: link(alert) };
    } catch (error) {
      this.#warn(messageOf(error), "the link of an alert could not be made: sent without");
      return alert;
    }
  }

  async #pause(alerts: readonly ClaimedAlert[], reason: string, error: unknown): Promise<void> {
    const { counts } = this.#options;
    counts.problem = reason;
    this.#warn(reason, "an alert was not sent: trying again");
    const asked = MillraceError.is(error) ? Number(error.details["retryAfterMs"]) : Number.NaN;
    const pauseMs = this.#backoff.nextDelayMs();
    await this.#release(alerts, reason, asked > 0 ? asked : pauseMs);
  }

  async #release(alerts: readonly ClaimedAlert[], reason: string, pauseMs: number): Promise<void> {
    const { channel, connection, counts, options } = this.#options;
    const { giveUpAfterMs } = options;
    // When it fails the lease ends by itself.
    counts.expired += await connection.transaction((client) =>
      releaseAlerts(client, channel.name, alerts, { reason, pauseMs, giveUpAfterMs }),
    );
  }

  /** An alert that was sent and not marked is sent again: it is worth some tries. */
  async #insist(
    alerts: readonly ClaimedAlert[],
    outcome: Parameters<typeof settleAlerts>[3],
  ): Promise<void> {
    const { channel, connection, closing, options } = this.#options;
    const backoff = new Backoff();
    const endAt = performance.now() + options.leaseMs / 2;
    for (;;) {
      try {
        await connection.transaction((client) =>
          settleAlerts(client, channel.name, alerts, outcome),
        );
        return;
      } catch (error) {
        if (closing.aborted || performance.now() > endAt) throw error;
        await sleep(backoff.nextDelayMs(), closing);
      }
    }
  }

  #warn(reason: string, message: string): void {
    const { channel, throttle } = this.#options;
    throttle.warn(`${channel.name} ${message}`, () => ({ channel: channel.name, reason }), message);
  }
}
