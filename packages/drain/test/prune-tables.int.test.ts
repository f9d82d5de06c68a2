import { waitFor } from "@millrace/core/testing";
import { migrate, postgres } from "@millrace/drain";
import { expect, it } from "vitest";
import { pruneTables } from "../src/prune-tables.ts";
import { issueSchema } from "./alerts/issues.ts";
import { emptyDatabase } from "./fixtures/empty-database.ts";
import { runPool } from "./fixtures/running-pool.ts";
import { smallSchema } from "./fixtures/small-schema.ts";
import { request } from "./fixtures/telemetry.ts";
import { connection } from "./partitions/maintained-table.ts";

it("old rows that may not be deleted are told of and counted, while batches land", async () => {
  const database = await emptyDatabase();
  const schema = { ...smallSchema(), upserts: issueSchema().upserts };
  await migrate({ destination: postgres({ connectionString: database.url }), schema });
  const role = `agent_${new URL(database.url).pathname.slice(1)}`;
  await database.query(
    `CREATE ROLE ${role} LOGIN PASSWORD 'agent';
     GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO ${role}`,
  );
  const url = new URL(database.url);
  url.username = role;
  url.password = "agent";
  const { pool, append, drained, logger, metrics } = await runPool({ url: url.href }, { schema });
  await append([request(1)]);
  await drained();
  await waitFor(() => pool.status().partitions.pruneFailures > 0);
  const told = logger.lines.filter(({ message }) => message.includes("could not be deleted"));
  expect(told.map(({ fields }) => fields["table"])).toContain("millrace_ledger");
  expect(told.map(({ fields }) => fields["table"])).toContain("millrace_alerts");
  expect(told[0]?.fields["reason"]).toContain("permission denied");
  expect(await metrics.metrics()).toMatch(/millrace_drain_prune_failures_total [1-9]/);
  await pool.close();

  const client = await connection(database.url);
  const { counts, problems } = await pruneTables(client, schema, crypto.randomUUID(), []);
  expect({ failures: counts.pruneFailures, problems }).toEqual({ failures: 0, problems: [] });
  await database.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
});
