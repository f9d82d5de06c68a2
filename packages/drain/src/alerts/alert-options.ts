import type { Logger, MetricsRegistry } from "@millrace/core";
import * as z from "zod";
import { type PostgresDestination, postgresDestinationSchema } from "../postgres.ts";
import type { Alert, AlertChannel } from "./alert.ts";

/** How much a channel may be sent, over all agents of the database. */
export interface AlertLimits {
  /** Messages of a channel in one interval; more alerts than that become one message. @default 10 */
  messages?: number | undefined;
  /** Length of the interval, in milliseconds. @default 60_000 */
  intervalMs?: number | undefined;
  /**
   * How long an alert of one issue keeps others of the same issue and kind from being sent, in
   * milliseconds; 0 sends them all.
   *
   * @default 60_000
   */
  issueIntervalMs?: number | undefined;
}

/** Options of {@link createAlertDispatcher}. */
export interface AlertDispatcherOptions {
  /** The database that a drain with `nightwatch({ alerts: true })` lands in. */
  destination: PostgresDestination;
  /** Where alerts go, each with a name of its own; the same for all dispatchers of a database. */
  channels: AlertChannel[];
  /** How many messages a channel gets. */
  limits?: AlertLimits | undefined;
  /** Where people can look at an issue. */
  link?: ((alert: Alert) => string | undefined) | undefined;
  /** How often the outbox is looked at, in milliseconds. @default 1_000 */
  pollMs?: number | undefined;
  /** How long a channel may take for one message, in milliseconds. @default 10_000 */
  timeoutMs?: number | undefined;
  /**
   * How long the alerts of a dispatcher that was killed wait for another, in milliseconds; at least twice
   * `timeoutMs`.
   *
   * @default 60_000
   */
  leaseMs?: number | undefined;
  /** Longest pause of a channel that takes nothing, in milliseconds; the first is a second. @default 300_000 */
  maxPauseMs?: number | undefined;
  /** How old an alert may be that is still tried, in milliseconds; up to 7 days. @default 86_400_000 */
  giveUpAfterMs?: number | undefined;
  /** pino-compatible. @default pino at `info` on stderr */
  logger?: Logger | undefined;
  /** @default the process's prom-client registry */
  metrics?: MetricsRegistry | undefined;
}

const DAY_MS = 86_400_000;
const ms = z
  .int()
  .positive()
  .max(7 * DAY_MS);

/** Validates {@link AlertDispatcherOptions} and fills in defaults. */
export const alertDispatcherOptionsSchema = z
  .strictObject({
    destination: postgresDestinationSchema,
    channels: z
      .array(
        z.custom<AlertChannel>(
          (value) => typeof value === "object" && value !== null && "send" in value,
          "expected a channel such as webhookChannel(...)",
        ),
      )
      .min(1)
      .refine(
        (channels) => new Set(channels.map(({ name }) => name)).size === channels.length,
        "two channels have one name: give each its own",
      ),
    limits: z
      .strictObject({
        messages: z.int().positive().max(1_000).default(10),
        intervalMs: ms.default(60_000),
        issueIntervalMs: z
          .int()
          .nonnegative()
          .max(7 * DAY_MS)
          .default(60_000),
      })
      .prefault({}),
    link: z.custom<(alert: Alert) => string | undefined>().optional(),
    pollMs: ms.default(1_000),
    timeoutMs: ms.default(10_000),
    leaseMs: ms.default(60_000),
    maxPauseMs: ms.default(300_000),
    giveUpAfterMs: ms.default(DAY_MS),
    logger: z.custom<Logger>().optional(),
    metrics: z.custom<MetricsRegistry>().optional(),
  })
  .refine(({ leaseMs, timeoutMs }) => leaseMs >= 2 * timeoutMs, {
    path: ["leaseMs"],
    message: "must be at least twice timeoutMs",
  });

/** {@link AlertDispatcherOptions} after defaults. */
export type ResolvedAlertDispatcherOptions = z.output<typeof alertDispatcherOptionsSchema>;
