import { type MetricsRegistry, publishMetric } from "@millrace/core";
import type { DrainStallCode } from "./stall-code.ts";

/** Publishes whether a pool has stalled, and why. @returns a function that withdraws it. */
export function stallMetric(
  registry: MetricsRegistry,
  findStall: () => { readonly code: DrainStallCode } | undefined,
): () => void {
  return publishMetric(
    registry,
    {
      type: "gauge",
      name: "millrace_drain_stalled",
      help: "1 while rows are buffered and none lands, by the cause.",
      labelNames: ["code"],
    },
    () => {
      const stall = findStall();
      return stall === undefined ? [] : [{ labels: { code: stall.code }, value: 1 }];
    },
  );
}
