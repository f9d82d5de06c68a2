import { type MetricsRegistry, publishMetric } from "@millrace/core";

/** Publishes what a handle has done. @returns a function that withdraws it. */
export function publishLetterMetrics(
  registry: MetricsRegistry,
  deadLetters: { status(): { replayed: number; discarded: number } },
): () => void {
  const withdraw = [
    publishMetric(
      registry,
      {
        type: "counter",
        name: "millrace_drain_dead_letters_replayed_total",
        help: "Dead letters that have landed after all.",
      },
      () => deadLetters.status().replayed,
    ),
    publishMetric(
      registry,
      {
        type: "counter",
        name: "millrace_drain_dead_letters_discarded_total",
        help: "Dead letters that were deleted.",
      },
      () => deadLetters.status().discarded,
    ),
  ];
  return () => {
    for (const take of withdraw) take();
  };
}
