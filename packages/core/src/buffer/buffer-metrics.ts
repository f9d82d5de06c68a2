import { defaultMetrics, type MetricsRegistry, publishMetric } from "../metrics.ts";
import type { BufferStatus } from "./buffer-status.ts";

/** Publishes a buffer's counters. @returns a function that withdraws them. */
export function publishBufferMetrics(buffer: {
  options: { metrics?: MetricsRegistry | undefined; maxRows: number; maxBytes: number };
  status(): BufferStatus;
}): () => void {
  const registry = buffer.options.metrics ?? defaultMetrics;
  let ofThisScrape: BufferStatus | undefined;
  // A scrape collects all its families in one turn: read once, their numbers add up.
  const readStatus = (): BufferStatus => {
    if (ofThisScrape === undefined) {
      ofThisScrape = buffer.status();
      queueMicrotask(() => {
        ofThisScrape = undefined;
      });
    }
    return ofThisScrape;
  };
  const gauge = (name: string, help: string, read: (status: BufferStatus) => number) =>
    publishMetric(registry, { type: "gauge", name, help }, () => read(readStatus()));
  const counter = (name: string, help: string, read: (status: BufferStatus) => number) =>
    publishMetric(registry, { type: "counter", name, help }, () => read(readStatus()));
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
    gauge("millrace_buffer_wal_bytes", "Write-ahead log.", ({ walBytes }) => walBytes),
    gauge(
      "millrace_buffer_disk_free_bytes",
      "Free space on the buffer's disk.",
      ({ freeBytes }) => freeBytes ?? 0,
    ),
    counter(
      "millrace_buffer_appended_rows_total",
      "Payloads stored since the file was created.",
      ({ appendedRows }) => appendedRows,
    ),
    publishMetric(
      registry,
      {
        type: "gauge",
        name: "millrace_buffer_state_rows",
        help: "What has become of every payload stored; adds up to millrace_buffer_appended_rows_total.",
        labelNames: ["state"],
      },
      () => {
        const status = readStatus();
        return [
          { labels: { state: "pending" }, value: status.pendingRows },
          { labels: { state: "claimed" }, value: status.claimedRows },
          { labels: { state: "landed" }, value: status.landedRows },
          { labels: { state: "purged" }, value: status.purgedRows },
          { labels: { state: "dropped" }, value: status.droppedRows },
          { labels: { state: "lost" }, value: status.lostRows },
        ];
      },
    ),
    publishMetric(
      registry,
      {
        type: "counter",
        name: "millrace_buffer_dropped_rows_total",
        help: "Payloads dropped unread since the file was created.",
        labelNames: ["reason"],
      },
      () => [{ labels: { reason: "dropped_oldest" }, value: readStatus().droppedRows }],
    ),
    counter(
      "millrace_buffer_lost_rows_total",
      "Payloads lost to damage of the file since it was created.",
      ({ lostRows }) => lostRows,
    ),
    publishMetric(
      registry,
      {
        type: "counter",
        name: "millrace_buffer_salvage_total",
        help: "Damaged files that this process made a new one of.",
        labelNames: ["outcome"],
      },
      () => {
        const { salvages } = readStatus();
        return [
          { labels: { outcome: "complete" }, value: salvages.complete },
          { labels: { outcome: "partial" }, value: salvages.partial },
        ];
      },
    ),
    counter(
      "millrace_buffer_commits_total",
      "Group commits of this process.",
      ({ commits }) => commits,
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
        const { rejectedRows, walRejectedRows, diskLowRows, failedRows } = readStatus();
        return [
          { labels: { reason: "full" }, value: rejectedRows },
          { labels: { reason: "wal" }, value: walRejectedRows },
          { labels: { reason: "disk_low" }, value: diskLowRows },
          { labels: { reason: "write_failed" }, value: failedRows },
        ];
      },
    ),
  ];
  return () => {
    for (const take of withdraw) take();
  };
}
