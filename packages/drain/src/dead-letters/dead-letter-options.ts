import type { Logger, MetricsRegistry } from "@millrace/core";
import * as z from "zod";
import { type PostgresDestination, postgresDestinationSchema } from "../postgres.ts";
import type { DrainSchema } from "../schema/drain-schema.ts";
import type { TableDefinition } from "../schema/table.ts";

/** Which dead letters: those that meet all that is given. */
export interface DeadLetterFilter {
  /** Exactly this code, as `sqlstate_23514`. */
  code?: string | undefined;
  /** Meant for this table. */
  destination?: string | undefined;
  /** Sent with the token of this name. */
  token?: string | undefined;
  /** Written at this moment or later. */
  since?: Date | undefined;
  /** Written before this moment. */
  until?: Date | undefined;
}

/** Options of `deadLetters.list`. */
export interface ListDeadLettersOptions extends DeadLetterFilter {
  /** Letters on one page, up to 1,000. @default 100 */
  limit?: number | undefined;
  /** `nextCursor` of the page before. */
  cursor?: string | undefined;
  /** Also read the bytes; a page then ends early, after some 16 MiB. @default false */
  includeContent?: boolean | undefined;
}

/** What to replay or discard: some letters by id, up to 10,000, or all that a filter meets; `{}` meets all. */
export type DeadLetterSelection =
  | { ids: readonly number[]; filter?: undefined }
  | { filter: DeadLetterFilter; ids?: undefined };

/** Options of {@link createDeadLetters}. */
export interface DeadLettersOptions {
  /** Where the letters are, and where a replay lands them. */
  destination: PostgresDestination;
  /** The schema that a replay lands by. */
  schema: DrainSchema | TableDefinition[];
  /** What a gzip payload may inflate to, in bytes, up to 256 MiB. @default 64 MiB */
  maxInflatedBytes?: number | undefined;
  /** pino-compatible. @default pino at `info` on stderr */
  logger?: Logger | undefined;
  /** Where letters that were replayed or discarded are counted, until `close`. @default nowhere */
  metrics?: MetricsRegistry | undefined;
}

const MIB = 1024 * 1024;

export const deadLettersOptionsSchema = z.strictObject({
  destination: postgresDestinationSchema,
  schema: z.custom<DrainSchema | TableDefinition[]>(
    (value) => typeof value === "object" && value !== null,
    "expected a schema such as nightwatch(), or an array of defineTable(...)",
  ),
  maxInflatedBytes: z
    .int()
    .positive()
    .max(256 * MIB)
    .default(64 * MIB),
  logger: z.custom<Logger>().optional(),
  metrics: z.custom<MetricsRegistry>().optional(),
});

/** {@link DeadLettersOptions} after defaults. */
export type ResolvedDeadLettersOptions = z.output<typeof deadLettersOptionsSchema>;

const filterFields = {
  code: z.string().min(1).optional(),
  destination: z.string().min(1).optional(),
  token: z.string().optional(),
  since: z.date().optional(),
  until: z.date().optional(),
};

export const listOptionsSchema = z.strictObject({
  ...filterFields,
  limit: z.int().positive().max(1_000).default(100),
  cursor: z
    .string()
    .regex(/^\d{1,18}$/, "expected the nextCursor of an earlier page")
    .optional(),
  includeContent: z.boolean().default(false),
});

export const selectionSchema = z
  .strictObject({
    ids: z.array(z.int().positive()).max(10_000).readonly().optional(),
    filter: z.strictObject(filterFields).optional(),
  })
  .refine(
    ({ ids, filter }) => (ids === undefined) !== (filter === undefined),
    "expected either ids or filter; filter: {} means all",
  );

/** {@link DeadLetterSelection} after its check. */
export type ResolvedSelection = z.output<typeof selectionSchema>;
