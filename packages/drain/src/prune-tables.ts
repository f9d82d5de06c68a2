import { messageOf } from "@millrace/core/thread";
import type { Client } from "pg";
import { pruneAlerts } from "./alerts/prune-alerts.ts";
import { pruneAudit } from "./audit/prune-audit.ts";
import {
  createMaintenanceCounts,
  type MaintenanceReport,
} from "./partitions/maintenance-report.ts";
import { pruneRollups } from "./rollups/rollup-retention.ts";
import { ALERTS_TABLE } from "./schema/alert-tables.ts";
import { AUDIT_PAYLOADS_TABLE, AUDIT_RECORDS_TABLE } from "./schema/audit-tables.ts";
import { LEDGER_TABLE } from "./schema/bookkeeping.ts";
import type { DrainSchema } from "./schema/drain-schema.ts";
import { pruneLedger } from "./write/ledger.ts";
import { sqlStateOf } from "./write/sqlstate.ts";

/**
 * Deletes what is too old of the ledger, the audit, the rollups and the alerts. A table that the server will not
 * let us delete from is reported, and keeps nobody from the others.
 *
 * @throws what is no answer of the server: the connection is lost.
 */
export async function pruneTables(
  client: Client,
  { rollups = [], upserts }: DrainSchema,
  bufferId: string,
  openBatchIds: readonly string[],
): Promise<MaintenanceReport> {
  const now = new Date();
  const report: MaintenanceReport = { counts: createMaintenanceCounts(), problems: [] };
  const tasks: Array<[table: string, prune: () => Promise<unknown>]> = [
    [LEDGER_TABLE, () => pruneLedger(client, bufferId, openBatchIds)],
    [AUDIT_PAYLOADS_TABLE, () => pruneAudit(client, AUDIT_PAYLOADS_TABLE)],
    [AUDIT_RECORDS_TABLE, () => pruneAudit(client, AUDIT_RECORDS_TABLE)],
    ...rollups.map((rollup): [string, () => Promise<unknown>] => [
      rollup.name,
      () => pruneRollups(client, { rollups: [rollup] }, now),
    ]),
  ];
  if (upserts.some(({ alerts }) => alerts === true)) {
    tasks.push([
      ALERTS_TABLE,
      async () => {
        report.counts.unsentAlertsPruned += (await pruneAlerts(client)).unsent;
      },
    ]);
  }
  for (const [table, prune] of tasks) {
    try {
      await prune();
    } catch (error) {
      if (sqlStateOf(error) === undefined) throw error;
      report.counts.pruneFailures++;
      report.problems.push({ table, kind: "prune", reason: messageOf(error) });
    }
  }
  return report;
}
