import type { IndexDefinition } from "../schema/table.ts";

/** For ranges of time, of audits too; a few pages whatever the table's size. */
export const byTime: IndexDefinition = { columns: ["occurred_at", "received_at"], method: "brin" };

/** For everything that happened in one flow of work. */
export const byTrace: IndexDefinition = { columns: ["trace_id"] };

/** For the history of one route, query or error. */
export const byGroup: IndexDefinition = { columns: ["group_hash", "occurred_at"] };
