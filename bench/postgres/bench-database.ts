import { migrate, postgres } from "@millrace/drain";
import { nightwatch } from "@millrace/drain/nightwatch";
import type { PostgresService } from "@millrace/services";
import { Client } from "pg";

/** A fresh database with the tables of the `nightwatch()` preset, and a server with nothing left to write. */
export async function createBenchDatabase(
  service: PostgresService,
): Promise<{ url: string; drop(): Promise<void> }> {
  const url = await service.createDatabase();
  await migrate({ destination: postgres({ connectionString: url }), schema: nightwatch() });
  // Else the checkpoint for one measurement falls into the next one.
  await execute(service.url, "CHECKPOINT");
  return {
    url,
    drop: () =>
      execute(service.url, `DROP DATABASE ${new URL(url).pathname.slice(1)} WITH (FORCE)`),
  };
}

async function execute(url: string, sql: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  await client.query(sql);
  await client.end();
}
