import { type MetricsRegistry, publishMetric } from "@millrace/core";
import { UNSENT_METRIC } from "../alerts/prune-alerts.ts";
import type { MaintenanceCounts } from "./maintenance-report.ts";

/** Publishes a pool's totals. @returns a function that withdraws them. */
export function publishMaintenanceMetrics(
  registry: MetricsRegistry,
  totals: Readonly<MaintenanceCounts>,
): () => void {
  const total = (name: string, help: string, key: keyof MaintenanceCounts) =>
    publishMetric(registry, { type: "counter", name, help }, () => totals[key]);
  const withdraw = [
    total("millrace_drain_partitions_created_total", "Partitions made.", "partitionsCreated"),
    total(
      "millrace_drain_partitions_dropped_total",
      "Partitions dropped by retention.",
      "partitionsDropped",
    ),
    total(
      "millrace_drain_late_rows_moved_total",
      "Rows moved from a default partition to one made for them.",
      "lateRowsMoved",
    ),
    total(
      "millrace_drain_expired_rows_deleted_total",
      "Rows of a default partition deleted by retention.",
      "expiredRowsDeleted",
    ),
    total(
      "millrace_drain_partition_maintenance_skips_total",
      "Times that partitions were left for a moment since a lock was held.",
      "maintenanceSkips",
    ),
    total(
      "millrace_drain_partition_maintenance_failures_total",
      "Times that partitions could not be made or dropped.",
      "maintenanceFailures",
    ),
    total(
      "millrace_drain_prune_failures_total",
      "Times that old rows of the ledger, of rollups or of alerts could not be deleted.",
      "pruneFailures",
    ),
    publishMetric(registry, UNSENT_METRIC, () => totals.unsentAlertsPruned),
  ];
  return () => {
    for (const take of withdraw) take();
  };
}
