import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { emptyDatabase } from "./fixtures/empty-database.ts";
import { runPool } from "./fixtures/running-pool.ts";
import { numbers, request } from "./fixtures/telemetry.ts";

interface AuditRow {
  buffer_id: string;
  accepted: string;
  landed: string;
  missing: string[] | null;
  overlaps: number;
}

/** The query that the documentation shows. */
function auditSql(): string {
  const page = join(import.meta.dirname, "../../../docs/architecture/exactly-once.md");
  const sql = /## Audit[^#]*?```sql\n([^`]+)```/.exec(readFileSync(page, "utf8"))?.[1];
  if (sql === undefined) throw new Error(`no query under "Audit" in ${page}`);
  return sql;
}

it("the ledger tells for any hour that each accepted payload has landed once, and which has not", async () => {
  const { url, query } = await emptyDatabase();
  const pools = await Promise.all(
    [300, 200].map(async (payloads) => {
      const running = await runPool({ url }, { workers: 2, batchRows: 20 });
      await running.append(...numbers(payloads).map((index) => [request(index)]), "no record");
      await running.drained();
      return { running, accepted: payloads + 1 };
    }),
  );
  const audit = async () => {
    const rows = await query<AuditRow>(auditSql());
    return new Map(rows.map(({ buffer_id, ...row }) => [buffer_id, row]));
  };
  const clean = await audit();
  for (const { running, accepted } of pools) {
    const { bufferId } = running.buffer;
    expect(clean.get(bufferId)).toEqual({
      accepted: String(accepted),
      landed: String(accepted),
      missing: null,
      overlaps: 0,
    });
  }

  const [first] = pools;
  const bufferId = first?.running.buffer.bufferId ?? "";
  const [gone] = await query<{ first: string; last: string }>(
    `DELETE FROM millrace_ledger WHERE batch_id = (
       SELECT batch_id FROM millrace_ledger WHERE buffer_id = $1 AND first_payload_id > 100 LIMIT 1
     ) RETURNING first_payload_id AS first, last_payload_id AS last`,
    [bufferId],
  );
  expect((await audit()).get(bufferId)?.missing).toEqual([`${gone?.first}-${gone?.last}`]);
  await query("UPDATE millrace_ledger SET landed_at = landed_at - interval '2 hours'");
  expect((await audit()).size).toBe(0);
});
