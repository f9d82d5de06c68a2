/**
 * The tables of the Nightwatch protocol: what the `laravel/nightwatch` client sends.
 *
 * @module
 */
import type { DrainSchema } from "../schema/drain-schema.ts";
import type { PartitionBy, PartitionInterval, Retention } from "../schema/partition-by.ts";
import { eventTables } from "./event-tables.ts";
import { executionTables } from "./execution-tables.ts";
import { rollups } from "./rollups.ts";
import { upserts } from "./upserts.ts";

/** Options of {@link nightwatch}. */
export interface NightwatchOptions {
  /**
   * How long records are kept, from `occurred_at` on: `"30 days"`. Issues, users and their counters
   * stay.
   *
   * @default undefined: for ever
   */
  readonly retain?: Retention | undefined;
  /** How much time one partition of a table holds, in UTC. @default "day" */
  readonly partitionInterval?: PartitionInterval | undefined;
  /**
   * Count requests, queries, job attempts and exceptions per minute (kept 7 days) and per hour (kept a
   * year) in `nightwatch_request_rollups`, `nightwatch_query_rollups`, `nightwatch_job_rollups` and
   * `nightwatch_exception_rollups`.
   *
   * @default true
   */
  readonly rollups?: boolean | undefined;
  /**
   * Give `nightwatch_issues` a `status`, and write an alert to `millrace_alerts` when an issue is new, or
   * seen again after it was resolved, in the transaction that lands it. `createAlertDispatcher` sends them.
   *
   * @default false
   */
  readonly alerts?: boolean | undefined;
}

/**
 * Declares a table for each record type of the Nightwatch protocol, three that records are merged
 * into (`nightwatch_issues`, `nightwatch_user_counters` and `nightwatch_users`), and rollups.
 *
 * Columns keep the names of the wire with their unit (`duration` is `duration_us`), except
 * `occurred_at` (`timestamp`), `record_version` (`v`), `group_hash` (`_group`), `user_id` (`user`,
 * NULL for a guest) and the four counts of `nightwatch_mail`. Strings that hold JSON stay text,
 * exactly as received: they may be empty or cut off. The tables are partitioned by `occurred_at`.
 *
 * @example
 * ```ts
 * import { nightwatch } from "@millrace/drain/nightwatch";
 *
 * export const schema = nightwatch({ retain: "30 days" });
 * ```
 *
 * @throws {@link MillraceError} `DRAIN_TABLE_INVALID` for a retention or interval that is none.
 */
export function nightwatch(options: NightwatchOptions = {}): DrainSchema {
  const partitionBy: PartitionBy = {
    column: "occurred_at",
    interval: options.partitionInterval ?? "day",
    ...(options.retain !== undefined && { retain: options.retain }),
  };
  const tables = [...executionTables(partitionBy), ...eventTables(partitionBy)];
  return {
    tables,
    upserts: upserts(options.alerts ?? false),
    ...(options.rollups !== false && { rollups: rollups() }),
  };
}
