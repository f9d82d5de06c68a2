import { MillraceError } from "@millrace/core";

/** News of one issue. */
export interface Alert {
  /** Unique; the same whenever the alert is sent again. */
  readonly id: string;
  /** `issue.new`: first seen. `issue.reopened`: seen again after it was resolved. */
  readonly kind: "issue.new" | "issue.reopened";
  /** The table that the issue is in. */
  readonly source: string;
  /** The issue's columns as they were when it was written; texts up to 1,000 characters. */
  readonly issue: Readonly<Record<string, unknown>>;
  readonly createdAt: Date;
  /** Where to look at it, if the dispatcher's `link` said so. */
  readonly url?: string | undefined;
}

/** What a channel sends at once: one alert, or many in one message. */
export interface AlertMessage {
  /** The same when the same alerts are sent again: receivers may drop a repetition. */
  readonly id: string;
  /** The oldest first. */
  readonly alerts: readonly [Alert, ...Alert[]];
}

/** A way to tell people, or programs, of alerts. */
export interface AlertChannel {
  /** Unique among the channels of a database; deliveries are kept under it. */
  readonly name: string;
  /**
   * Sends one message, and resolves once the other side has taken it.
   *
   * @param signal fires after the dispatcher's `timeoutMs`.
   * @throws {@link MillraceError} `DRAIN_ALERT_NOT_SENT`. `retryable: false` says that this message will never
   * be taken; `details.retryAfterMs` how long to leave the channel alone. Anything else that is thrown is
   * tried again.
   */
  send(message: AlertMessage, signal: AbortSignal): Promise<void>;
  /** Lets connections go. */
  close?(): Promise<void>;
}

/** Why a message was not taken; never with the path of a URL, which may be a secret. */
export function alertNotSent(
  problem: string,
  init: { isPermanent?: boolean; retryAfterMs?: number | undefined; cause?: unknown } = {},
): MillraceError {
  return new MillraceError("DRAIN_ALERT_NOT_SENT", `the alert was not sent: ${problem}`, {
    retryable: init.isPermanent !== true,
    details: { retryAfterMs: init.retryAfterMs },
    cause: init.cause,
  });
}
