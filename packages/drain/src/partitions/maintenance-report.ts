import { type Logger, LogThrottle, type MetricsRegistry, publishMetric } from "@millrace/core";
import { UNSENT_METRIC } from "../alerts/prune-alerts.ts";

/** What the maintenance of partitions has done. */
export interface MaintenanceCounts {
  partitionsCreated: number;
  partitionsDropped: number;
  /** Rows moved from a default partition to the one that was made for them. */
  lateRowsMoved: number;
  /** Rows of a default partition that were older than the retention. */
  expiredRowsDeleted: number;
  /** Times that a lock was held by somebody else; tried again soon. */
  maintenanceSkips: number;
  maintenanceFailures: number;
  /** Times that old rows of the ledger, of rollups or of alerts could not be deleted. */
  pruneFailures: number;
  /** Alerts deleted, too old or too many, before they were sent. */
  unsentAlertsPruned: number;
}

/** Something about a table's partitions that a person should know. */
export interface MaintenanceProblem {
  table: string;
  /** `note`: it stays like this. `failure` of partitions and `prune` of old rows: it is tried again. */
  kind: "note" | "failure" | "prune";
  reason: string;
}

/** What one round of maintenance did; plain data. */
export interface MaintenanceReport {
  counts: MaintenanceCounts;
  problems: MaintenanceProblem[];
}

/** How often one table's failure is logged at most, in milliseconds. */
const LOG_INTERVAL_MS = 600_000;

/** Zero of everything. */
export function createMaintenanceCounts(): MaintenanceCounts {
  return {
    partitionsCreated: 0,
    partitionsDropped: 0,
    lateRowsMoved: 0,
    expiredRowsDeleted: 0,
    maintenanceSkips: 0,
    maintenanceFailures: 0,
    pruneFailures: 0,
    unsentAlertsPruned: 0,
  };
}

/** Adds a report to a pool's totals. */
export function addMaintenance(totals: MaintenanceCounts, { counts }: MaintenanceReport): void {
  for (const key of Object.keys(counts) as Array<keyof MaintenanceCounts>) {
    totals[key] += counts[key];
  }
}

/** Logs each note once, and the failures of a table now and then. */
export class MaintenanceLog {
  readonly #logger: Logger;
  readonly #throttle: LogThrottle;
  readonly #noted = new Set<string>();

  constructor(logger: Logger) {
    this.#logger = logger;
    this.#throttle = new LogThrottle(logger, LOG_INTERVAL_MS);
  }

  add({ problems }: MaintenanceReport): void {
    for (const { table, kind, reason } of problems) {
      if (kind === "failure") {
        const message = "a table's partitions could not be looked after: trying again";
        this.#throttle.warn(table, () => ({ table, reason }), message);
      } else if (kind === "prune") {
        const message = "old rows of a table could not be deleted, it grows: trying again";
        this.#throttle.warn(`prune ${table}`, () => ({ table, reason }), message);
      } else if (!this.#noted.has(`${table} ${reason}`)) {
        this.#noted.add(`${table} ${reason}`);
        this.#logger.warn({ table, reason }, "a table's partitions are not looked after");
      }
    }
  }
}

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
