import { type MetricsRegistry, publishMetric } from "@millrace/core";
import type { DrainConcurrency } from "./drain-tuner.ts";

/** Publishes what a pool is tuned to. @returns a function that withdraws it. */
export function publishTunerMetrics(
  registry: MetricsRegistry,
  read: () => DrainConcurrency,
): () => void {
  const gauge = (name: string, help: string, value: () => number) =>
    publishMetric(registry, { type: "gauge", name, help }, value);
  const withdraw = [
    gauge("millrace_drain_concurrency", "Workers that may land.", () => read().current),
    gauge("millrace_drain_batch_rows", "Payloads that a batch may have.", () => read().batchRows),
  ];
  return () => {
    for (const take of withdraw) take();
  };
}
