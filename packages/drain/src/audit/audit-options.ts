import * as z from "zod";
import { type PostgresDestination, postgresDestinationSchema } from "../postgres.ts";
import type { DrainSchema } from "../schema/drain-schema.ts";
import type { TableDefinition } from "../schema/table.ts";

/** Which hours an audit looks at. */
export interface AuditRange {
  /** The first hour is the one that this moment lies in (UTC). @default 24 hours ago */
  from?: Date | undefined;
  /** The last hour is the one that ends at this moment, or that it lies in. @default now */
  to?: Date | undefined;
}

/** Options of {@link audit}. */
export interface AuditOptions extends AuditRange {
  destination: PostgresDestination;
  /** Whose tables are counted. */
  schema: DrainSchema | TableDefinition[];
  /** Files of the buffers that drain into the database; what is still in others is unaccounted for. @default [] */
  bufferPaths?: readonly string[] | undefined;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

const rangeFields = { from: z.date().optional(), to: z.date().optional() };

const isForward = {
  check: ({ from, to }: AuditRange) => from === undefined || from < (to ?? new Date()),
  message: "expected from to be before to",
};

export const auditRangeSchema = z
  .strictObject(rangeFields)
  .refine(isForward.check, isForward.message);

export const auditOptionsSchema = z
  .strictObject({
    ...rangeFields,
    destination: postgresDestinationSchema,
    schema: z.custom<DrainSchema | TableDefinition[]>(
      (value) => typeof value === "object" && value !== null,
      "expected a schema such as nightwatch(), or an array of defineTable(...)",
    ),
    bufferPaths: z.array(z.string().min(1)).readonly().default([]),
  })
  .refine(isForward.check, isForward.message);

/** The whole hours that a range touches. */
export function wholeHours({ from, to }: AuditRange): { from: Date; to: Date } {
  const end = (to ?? new Date()).getTime();
  const start = from?.getTime() ?? end - DAY_MS;
  return {
    from: new Date(Math.floor(start / HOUR_MS) * HOUR_MS),
    to: new Date(Math.ceil(end / HOUR_MS) * HOUR_MS),
  };
}
