import { type MetricSample, type MetricsRegistry, publishMetric } from "@millrace/core";

/** What has become of alerts at one channel. */
export interface AlertCounts {
  /** Alerts that the other side has taken. */
  sent: number;
  /** Messages that took more than one alert along. */
  digests: number;
  /** Tries that failed and are repeated. */
  failedTries: number;
  /** Alerts that the other side will never take. */
  rejected: number;
  /** Alerts that were too old to be tried once more. */
  expired: number;
  /** Alerts that repeated another of the same issue. */
  suppressed: number;
  /** Alerts that are still to be sent, when it was last looked at. */
  pending: number;
  /** Why nothing can be sent at present. */
  problem: string | undefined;
}

export function createAlertCounts(): AlertCounts {
  return {
    sent: 0,
    digests: 0,
    failedTries: 0,
    rejected: 0,
    expired: 0,
    suppressed: 0,
    pending: 0,
    problem: undefined,
  };
}

/** Publishes the counts of channels. @returns a function that withdraws them. */
export function publishAlertMetrics(
  registry: MetricsRegistry,
  channels: ReadonlyMap<string, Readonly<AlertCounts>>,
): () => void {
  const withdraw = [
    publishMetric(
      registry,
      {
        type: "counter",
        name: "millrace_alerts_total",
        help: "Alerts by what has become of them; failed ones are tried again.",
        labelNames: ["channel", "result"],
      },
      () =>
        [...channels].flatMap(([channel, counts]): MetricSample[] => [
          { labels: { channel, result: "sent" }, value: counts.sent },
          { labels: { channel, result: "failed" }, value: counts.failedTries },
          { labels: { channel, result: "rejected" }, value: counts.rejected },
          { labels: { channel, result: "expired" }, value: counts.expired },
          { labels: { channel, result: "suppressed" }, value: counts.suppressed },
        ]),
    ),
    publishMetric(
      registry,
      {
        type: "gauge",
        name: "millrace_alerts_pending",
        help: "Alerts that are still to be sent.",
        labelNames: ["channel"],
      },
      () =>
        [...channels].map(([channel, { pending }]) => ({ labels: { channel }, value: pending })),
    ),
  ];
  return () => {
    for (const take of withdraw) take();
  };
}
