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
