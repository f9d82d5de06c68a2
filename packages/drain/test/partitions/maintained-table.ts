import { migrate, postgres } from "@millrace/drain";
import { Client } from "pg";
import { onTestFinished } from "vitest";
import type {
  MaintenanceCounts,
  MaintenanceReport,
} from "../../src/partitions/maintenance-report.ts";
import { PartitionMaintainer } from "../../src/partitions/partition-maintainer.ts";
import { integer, timestamptz } from "../../src/schema/columns.ts";
import type { PartitionBy } from "../../src/schema/partition-by.ts";
import { defineTable, type TableDefinition } from "../../src/schema/table.ts";
import { type EmptyDatabase, emptyDatabase } from "../fixtures/empty-database.ts";

/** A table of events with a moment and a number. */
export function ticks(partitionBy?: Partial<PartitionBy>): TableDefinition {
  return defineTable("ticks", {
    match: { t: "tick" },
    columns: { ticked_at: timestamptz("timestamp", { required: true }), number: integer("number") },
    indexes: [{ columns: ["ticked_at"], method: "brin" }, { columns: ["number"] }],
    partitionBy: { column: "ticked_at", interval: "day", ...partitionBy },
  });
}

/** An empty database with the table `ticks` and its default partition. */
export async function ticksDatabase(table = ticks()): Promise<EmptyDatabase> {
  const database = await emptyDatabase();
  const destination = postgres({ connectionString: database.url });
  await migrate({ destination, schema: { tables: [table], upserts: [] } });
  return database;
}

/** A connection that ends with the test. */
export async function connection(url: string): Promise<Client> {
  const client = new Client({ connectionString: url });
  client.on("error", () => {});
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

export interface Maintenance {
  /** Looks at all tables once, as if it were `now`. */
  readonly maintain: (now: string) => Promise<MaintenanceReport>;
  readonly maintainer: PartitionMaintainer;
}

/** A maintainer with a clock of its own, on a connection of its own. */
export async function maintenance(url: string, table = ticks()): Promise<Maintenance> {
  const client = await connection(url);
  let moment = new Date(0);
  const maintainer = new PartitionMaintainer({ tables: [table], now: () => moment });
  return {
    maintainer,
    maintain: async (now) => {
      moment = new Date(now);
      maintainer.makeDue();
      const reports: MaintenanceReport[] = [];
      // A run that has no time left goes on in the next one.
      do reports.push(await maintainer.run(client));
      while (maintainer.isDue);
      const [first, ...rest] = reports;
      if (first === undefined) throw new Error("nothing was reported");
      for (const { counts, problems } of rest) {
        for (const key of Object.keys(counts) as Array<keyof MaintenanceCounts>) {
          first.counts[key] += counts[key];
        }
        first.problems.push(...problems);
      }
      return first;
    },
  };
}

/** Rows by partition, those without rows too. */
export async function rowsByPartition({ query }: EmptyDatabase): Promise<Record<string, number>> {
  const partitions = await query<{ name: string }>(
    "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'ticks'::regclass ORDER BY 1",
  );
  const rows = await query<{ name: string; rows: number }>(
    "SELECT tableoid::regclass::text AS name, count(*)::int AS rows FROM ticks GROUP BY 1",
  );
  const counts = new Map(rows.map(({ name, rows: count }) => [name, count]));
  return Object.fromEntries(
    partitions.map(({ name }) => [name.replace("ticks_", ""), counts.get(name) ?? 0]),
  );
}

/** Inserts rows, each with its moment and, if not the same, when it arrived. */
export async function insertTicks(
  { query }: EmptyDatabase,
  moments: readonly string[],
  receivedAt?: string,
): Promise<void> {
  await query(
    `INSERT INTO ticks (ticked_at, number, received_at, token)
     SELECT moment, number, coalesce($2::timestamptz, moment), 'a'
     FROM unnest($1::timestamptz[]) WITH ORDINALITY AS row (moment, number)`,
    [moments, receivedAt],
  );
}
