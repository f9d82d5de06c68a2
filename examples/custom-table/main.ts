import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createBuffer } from "@millrace/core/buffer";
import { createDrainPool, postgres } from "@millrace/drain";
import { startPostgres } from "@millrace/services";
import { Client } from "pg";
import pino from "pino";
import { schema } from "./page-views.ts";

const folder = mkdtempSync(join(tmpdir(), "millrace-custom-table-"));
const database = await startPostgres();
try {
  await land();
  await show();
} finally {
  await database.remove();
  rmSync(folder, { recursive: true });
}

/** Buffers three payloads, as an ingest server would, and lands them. */
async function land(): Promise<void> {
  const logger = pino({ level: "warn" }, pino.destination(2));
  const buffer = createBuffer({ path: join(folder, "buffer.db"), logger });
  const drain = createDrainPool({
    buffer,
    destination: postgres({ connectionString: database.url }),
    schema,
    workers: 1,
    logger,
  });
  await buffer.start();
  await drain.start();
  const now = Date.now() / 1_000;
  const view = { t: "page-view", timestamp: now, url: "/", title: "Home", duration: 80 };
  for (const payload of [
    [view, { ...view, url: "/offers", title: "Offers", visitor: "ada", device: "mobile" }],
    // `campaign` has no column: it goes to unknown_fields.
    [{ ...view, timestamp: now + 1, title: "Welcome", campaign: "spring" }],
    // No column takes this duration: a dead letter, and its neighbour lands.
    [
      { ...view, duration: "long" },
      { t: "click", timestamp: now, target: "#buy" },
    ],
  ]) {
    await buffer.append(Buffer.from(JSON.stringify(payload)));
  }
  // Closing lands what is pending first.
  await drain.close();
  await buffer.close();
}

async function show(): Promise<void> {
  const client = new Client({ connectionString: database.url });
  await client.connect();
  const views = await client.query<{ url: string; unknown_fields: unknown }>(
    "SELECT url, visitor, duration_ms, unknown_fields FROM page_views ORDER BY viewed_at, url",
  );
  const pages = await client.query<{ url: string; views: string; title: string }>(
    "SELECT url, views, mobile_views, title FROM pages ORDER BY url",
  );
  const events = await client.query("SELECT type, record FROM millrace_events");
  const letters = await client.query("SELECT code, reason FROM millrace_dead_letters");
  await client.end();
  console.table(views.rows);
  console.table(pages.rows);
  console.log("of a type without a table:", events.rows);
  console.log("could not land:", letters.rows);
  const counts = [views, pages, events, letters].map(({ rows }) => rows.length);
  if (counts.join() !== "3,2,1,1") {
    throw new Error(
      `3 views, 2 pages, 1 event and 1 dead letter were expected, not ${counts.join()}`,
    );
  }
}
