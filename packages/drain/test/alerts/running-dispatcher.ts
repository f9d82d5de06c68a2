import { createMemoryLogger, type MemoryLogger } from "@millrace/core/testing";
import { migrate, postgres } from "@millrace/drain";
import {
  type AlertChannel,
  type AlertDispatcher,
  type AlertDispatcherOptions,
  createAlertDispatcher,
} from "@millrace/drain/alerts";
import { Registry } from "prom-client";
import { onTestFinished } from "vitest";
import { type EmptyDatabase, emptyDatabase } from "../fixtures/empty-database.ts";
import { issueSchema } from "./issues.ts";

export interface RunningDispatcher {
  readonly dispatcher: AlertDispatcher;
  readonly logger: MemoryLogger;
  readonly metrics: Registry;
}

/** A dispatcher that looks often; closed when the test is. */
export async function runDispatcher(
  url: string,
  channels: AlertChannel[],
  options: Partial<AlertDispatcherOptions> = {},
): Promise<RunningDispatcher> {
  const logger = createMemoryLogger();
  const metrics = new Registry();
  const dispatcher = createAlertDispatcher({
    destination: postgres({ connectionString: url }),
    channels,
    pollMs: 20,
    maxPauseMs: 50,
    logger,
    metrics,
    ...options,
  });
  onTestFinished(() => dispatcher.close({ graceMs: 0 }));
  await dispatcher.start();
  return { dispatcher, logger, metrics };
}

/** A database whose outbox has alerts of `issues`, all new. */
export async function alertedDatabase(issues: readonly string[]): Promise<EmptyDatabase> {
  const database = await emptyDatabase();
  const destination = postgres({ connectionString: database.url });
  await migrate({ destination, schema: issueSchema() });
  await writeAlerts(database, issues);
  return database;
}

/** Writes alerts of `issues` as a drain does. */
export async function writeAlerts(
  { query }: EmptyDatabase,
  issues: readonly string[],
): Promise<void> {
  await query(
    `INSERT INTO millrace_alerts (kind, source, subject_key, subject)
     SELECT 'issue.new', 'nightwatch_issues', issue, jsonb_build_object(
       'fingerprint', issue, 'class', 'App\\Broken', 'message', 'broken ' || issue,
       'occurrences', 1, 'token', 'default')
     FROM unnest($1::text[]) AS issue`,
    [issues],
  );
}

/** Deliveries by channel and result. */
export async function deliveries({ query }: EmptyDatabase): Promise<Record<string, number>> {
  const rows = await query<{ key: string; count: number }>(
    `SELECT channel || ' ' || coalesce(result, 'open') AS key, count(*)::int AS count
     FROM millrace_alert_deliveries GROUP BY 1`,
  );
  return Object.fromEntries(rows.map(({ key, count }) => [key, count]));
}
