import { defaultMetrics, type MetricsRegistry, publishMetric } from "../metrics.ts";
import type { BufferStatus } from "./buffer.ts";

/** Publishes a buffer's counters. @returns a function that withdraws them. */
export function publishBufferMetrics(buffer: {
  options: { metrics?: MetricsRegistry | undefined; maxRows: number; maxBytes: number };
  status(): BufferStatus;
}): () => void {
  const registry = buffer.options.metrics ?? defaultMetrics;
  const gauge = (name: string, help: string, read: (status: BufferStatus) => number) =>
    publishMetric(registry, { type: "gauge", name, help }, () => read(buffer.status()));
  const withdraw = [
    gauge("millrace_buffer_rows", "Payloads in the buffer file.", ({ rows }) => rows),
    gauge("millrace_buffer_bytes", "Payload bytes in the buffer file.", ({ bytes }) => bytes),
    gauge(
      "millrace_buffer_pending_rows",
      "Payloads that no drain worker has claimed yet.",
      ({ pendingRows }) => pendingRows,
    ),
    gauge(
      "millrace_buffer_limit_rows",
      "Payloads the buffer may hold.",
      () => buffer.options.maxRows,
    ),
    gauge(
      "millrace_buffer_limit_bytes",
      "Payload bytes the buffer may hold.",
      () => buffer.options.maxBytes,
    ),
    gauge(
      "millrace_buffer_oldest_pending_seconds",
      "Age of the oldest unclaimed payload.",
      ({ oldestPendingAt }) =>
        oldestPendingAt === undefined ? 0 : Math.max(0, Date.now() - oldestPendingAt) / 1_000,
    ),
    publishMetric(
      registry,
      {
        type: "counter",
        name: "millrace_buffer_appended_rows_total",
        help: "Payloads stored since the file was created.",
      },
      () => buffer.status().appendedRows,
    ),
    publishMetric(
      registry,
      {
        type: "counter",
        name: "millrace_buffer_commits_total",
        help: "Group commits of this process.",
      },
      () => buffer.status().commits,
    ),
    publishMetric(
      registry,
      {
        type: "counter",
        name: "millrace_buffer_refused_rows_total",
        help: "Payloads that were not stored.",
        labelNames: ["reason"],
      },
      () => {
        const { rejectedRows, failedRows } = buffer.status();
        return [
          { labels: { reason: "full" }, value: rejectedRows },
          { labels: { reason: "write_failed" }, value: failedRows },
        ];
      },
    ),
  ];
  return () => {
    for (const take of withdraw) take();
  };
}
