import { type MetricsRegistry, publishMetric } from "@millrace/core";
import type { IngestClientStatus } from "./ingest-client-status.ts";

/** Publishes a client's counters. @returns a function that withdraws them. */
export function publishClientMetrics(
  registry: MetricsRegistry,
  status: () => IngestClientStatus,
): () => void {
  const withdraw = [
    publishMetric(
      registry,
      {
        type: "counter",
        name: "millrace_ingest_client_records_total",
        help: "Records that were acknowledged, or dropped and why.",
        labelNames: ["outcome"],
      },
      () => {
        const { acknowledgedRecords, droppedRecords } = status();
        return Object.entries({ acknowledged: acknowledgedRecords, ...droppedRecords }).map(
          ([outcome, value]) => ({ labels: { outcome }, value }),
        );
      },
    ),
    publishMetric(
      registry,
      {
        type: "gauge",
        name: "millrace_ingest_client_buffered_bytes",
        help: "Memory in records that are not acknowledged.",
      },
      () => status().bufferedBytes,
    ),
  ];
  return () => {
    for (const take of withdraw) take();
  };
}
