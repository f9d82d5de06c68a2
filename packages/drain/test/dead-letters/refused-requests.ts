import { createDeadLetters, type DeadLetters, migrate, postgres } from "@millrace/drain";
import { onTestFinished } from "vitest";
import { type EmptyDatabase, emptyDatabase } from "../fixtures/empty-database.ts";
import { runPool, type RunningPool } from "../fixtures/running-pool.ts";
import { smallSchema } from "../fixtures/small-schema.ts";
import { numbers, request } from "../fixtures/telemetry.ts";

export interface RefusedRequests {
  database: EmptyDatabase;
  running: RunningPool;
}

/** Dead letters of `count` requests, `request(0)` and on, that a CHECK on `url` has refused. */
export async function refusedRequests(count: number): Promise<RefusedRequests> {
  const database = await emptyDatabase();
  await migrate({
    destination: postgres({ connectionString: database.url }),
    schema: smallSchema(),
  });
  await refuseRequests(database);
  const running = await runPool({ url: database.url }, { batchRows: 1_000 });
  await running.append(numbers(count).map((index) => request(index)));
  await running.drained();
  return { database, running };
}

export async function refuseRequests({ query }: EmptyDatabase): Promise<void> {
  await query("ALTER TABLE nightwatch_requests ADD CONSTRAINT none CHECK (url = '') NOT VALID");
}

export async function takeRequests({ query }: EmptyDatabase): Promise<void> {
  await query("ALTER TABLE nightwatch_requests DROP CONSTRAINT none");
}

/** A database with letters as of {@link refusedRequests}, but of a table that takes them again by now. */
export async function storedLetters(count: number): Promise<EmptyDatabase> {
  const database = await emptyDatabase();
  await storeLetters(database, count);
  return database;
}

/** Makes the tables in an empty database, and letters of `count` requests. */
export async function storeLetters({ url, query }: EmptyDatabase, count: number): Promise<void> {
  await migrate({ destination: postgres({ connectionString: url }), schema: smallSchema() });
  await query(
    `INSERT INTO millrace_dead_letters
       (batch_id, payload_id, record_index, destination, code, reason, token, received_at, content)
     SELECT gen_random_uuid(), 1, index - 1, 'nightwatch_requests', 'sqlstate_23514', 'violates',
       'default', now(), convert_to(record, 'UTF8')
     FROM unnest($1::text[]) WITH ORDINALITY AS records(record, index)`,
    [numbers(count).map((index) => JSON.stringify(request(index)))],
  );
}

/** A handle of its own, closed when the test is. */
export function openDeadLetters(
  url: string,
  options: { maxInflatedBytes?: number } = {},
): DeadLetters {
  const deadLetters = createDeadLetters({
    destination: postgres({ connectionString: url }),
    schema: smallSchema(),
    ...options,
  });
  onTestFinished(() => deadLetters.close());
  return deadLetters;
}

/** How many dead letters there are. */
export async function countLetters({ query }: EmptyDatabase): Promise<number> {
  const [row] = await query<{ letters: number }>(
    "SELECT count(*)::int AS letters FROM millrace_dead_letters",
  );
  return row?.letters ?? 0;
}

/** What landed of requests, in order, without what says when and by whom. */
export function landedRequests({ query }: EmptyDatabase) {
  return query(
    `SELECT trace_id, url, duration_us, occurred_at, received_at, token
     FROM nightwatch_requests ORDER BY duration_us`,
  );
}
