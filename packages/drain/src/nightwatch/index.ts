/**
 * The tables of the Nightwatch protocol: what the `laravel/nightwatch` client sends.
 *
 * @module
 */
import type { DrainSchema } from "../schema/drain-schema.ts";
import { eventTables } from "./event-tables.ts";
import { executionTables } from "./execution-tables.ts";
import { upserts } from "./upserts.ts";

/**
 * Declares a table for each record type of the Nightwatch protocol, and three that records are merged
 * into: `nightwatch_issues`, `nightwatch_user_counters` and `nightwatch_users`.
 *
 * Columns keep the names of the wire with their unit (`duration` is `duration_us`), except
 * `occurred_at` (`timestamp`), `record_version` (`v`), `group_hash` (`_group`), `user_id` (`user`,
 * NULL for a guest) and the four counts of `nightwatch_mail`. Strings that hold JSON stay text,
 * exactly as received: they may be empty or cut off.
 *
 * @example
 * ```ts
 * import { nightwatch } from "@millrace/drain/nightwatch";
 *
 * const names = nightwatch().tables.map((table) => table.name);
 * ```
 */
export function nightwatch(): DrainSchema {
  return { tables: [...executionTables(), ...eventTables()], upserts: upserts() };
}
