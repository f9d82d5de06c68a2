import { type MetricsRegistry, publishMetric } from "@millrace/core";
import type { DrainCounters } from "./drain-counters.ts";

/** Publishes a pool's counters. @returns a function that withdraws them. */
export function publishDrainMetrics(
  registry: MetricsRegistry,
  counters: DrainCounters,
  readWorkersByPhase: () => Record<string, number>,
): () => void {
  const total = (name: string, help: string, read: () => number) =>
    publishMetric(registry, { type: "counter", name, help }, read);
  const totals = (name: string, help: string, label: string, read: () => Record<string, number>) =>
    publishMetric(registry, { type: "counter", name, help, labelNames: [label] }, () =>
      toSamples(label, read()),
    );
  const withdraw = [
    total("millrace_drain_batches_total", "Batches landed.", () => counters.batches),
    total(
      "millrace_drain_batches_found_landed_total",
      "Batches that the ledger showed to have landed in an earlier try.",
      () => counters.batchesFoundLanded,
    ),
    total(
      "millrace_drain_payloads_total",
      "Payloads that left the buffer, dead letters included.",
      () => counters.payloads,
    ),
    total(
      "millrace_drain_dead_payloads_total",
      "Payloads that became dead letters as a whole.",
      () => counters.deadPayloads,
    ),
    total(
      "millrace_drain_landing_seconds_total",
      "Time spent landing batches, over all workers.",
      () => counters.landingSeconds,
    ),
    total(
      "millrace_drain_worker_deaths_total",
      "Worker threads that ended unasked.",
      () => counters.workerDeaths,
    ),
    totals(
      "millrace_drain_records_total",
      "Records landed.",
      "table",
      () => counters.recordsByTable,
    ),
    totals(
      "millrace_drain_dead_letters_total",
      "Payloads and records that became dead letters.",
      "code",
      () => counters.deadLettersByCode,
    ),
    totals(
      "millrace_drain_retries_total",
      "Batches tried again.",
      "reason",
      () => counters.retriesByReason,
    ),
    publishMetric(
      registry,
      {
        type: "gauge",
        name: "millrace_drain_workers",
        help: "Worker threads by what they do.",
        labelNames: ["phase"],
      },
      () => toSamples("phase", readWorkersByPhase()),
    ),
  ];
  return () => {
    for (const take of withdraw) take();
  };
}

function toSamples(label: string, totals: Record<string, number>) {
  return Object.entries(totals).map(([key, value]) => ({ labels: { [label]: key }, value }));
}
