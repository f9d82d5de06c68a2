import type { ColumnDefinition, ColumnType } from "./columns.ts";
import {
  checkColumnNames,
  checkColumns,
  checkField,
  checkRecordType,
  checkTableName,
  tableInvalid,
} from "./definition-check.ts";

/** Counts the records whose fields equal all of these values; `{}` counts every record. */
export type CountCondition = Readonly<Record<string, string | number | boolean>>;

/** A table with one row per key that records are merged into; plain data. */
export interface UpsertDefinition {
  readonly name: string;
  /** Records whose field `t` is one of these are merged into the table. */
  readonly match: { readonly t: readonly string[] };
  /** Columns that, with the token, identify a row. */
  readonly key: Readonly<Record<string, ColumnDefinition>>;
  /** Field that holds the record's moment in Unix seconds. */
  readonly occurredAt: string;
  /** `bigint` columns that add up. */
  readonly counts: Readonly<Record<string, CountCondition>>;
  /** Columns that keep the value of the record with the latest moment. */
  readonly latest: Readonly<Record<string, ColumnDefinition>>;
  /** Whether a column `unknown_fields` keeps what the latest record holds besides all this. */
  readonly keepUnknownFields: boolean;
  /** Whether rows have a status, and news of them are written to the outbox of alerts. */
  readonly alerts?: boolean | undefined;
}

/** What {@link defineUpsert} takes besides the name. */
export interface UpsertOptions {
  /** Records whose field `t` is one of these are merged into the table. */
  readonly match: { readonly t: string | readonly string[] };
  /**
   * Columns that, with the token, identify a row: of any type but `double`, `jsonb` and `text[]`. A
   * record without a value for one of them is not merged, or refused where the column is `required`.
   */
  readonly key: Readonly<Record<string, ColumnDefinition>>;
  /** Field that holds the record's moment in Unix seconds; a record without it is refused. */
  readonly occurredAt: string;
  /**
   * `bigint` columns, each with the values that fields must have for the record to count.
   *
   * @default {}
   */
  readonly counts?: Readonly<Record<string, CountCondition>> | undefined;
  /**
   * Columns that keep the value of the record with the latest moment.
   *
   * @default {}
   */
  readonly latest?: Readonly<Record<string, ColumnDefinition>> | undefined;
  /**
   * Keep the fields that nothing here names, those of the latest record, in `unknown_fields`. For
   * record types that no table takes.
   *
   * @default false
   */
  readonly keepUnknownFields?: boolean | undefined;
  /**
   * Give rows a `status` (`open`, `resolved` or whatever else you set) and `resolved_at`, and write
   * an alert when a row appears, or is seen again after it was resolved. For `createAlertDispatcher`.
   *
   * @default false
   */
  readonly alerts?: boolean | undefined;
}

/** Types of which PostgreSQL and we call the same values equal: no key may occur twice in a statement. */
const KEY_TYPES: ReadonlySet<ColumnType> = new Set([
  "text",
  "integer",
  "bigint",
  "boolean",
  "timestamptz",
  "uuid",
]);

/** Columns that every upsert table has besides its own; `unknown_fields` only when asked for. */
const OWN_UPSERT_COLUMNS: readonly string[] = [
  "token",
  "first_seen_at",
  "last_seen_at",
  "unknown_fields",
];
/** Columns that those with `alerts` have as well. */
const OWN_ALERT_COLUMNS: readonly string[] = ["status", "resolved_at", "reopened_at", "alerted_in"];

/**
 * Declares a table that holds one row per token and key: counts, when the key was first and last
 * seen, and values of the record seen last.
 *
 * A record type may land in a table and in upserts, or in upserts only.
 *
 * @example
 * ```ts
 * import { defineUpsert, text } from "@millrace/drain";
 *
 * defineUpsert("pages", {
 *   match: { t: "page-view" },
 *   key: { url: text("url") },
 *   occurredAt: "timestamp",
 *   counts: { views: {}, mobile_views: { device: "mobile" } },
 *   latest: { title: text("title") },
 * });
 * ```
 *
 * @throws {@link MillraceError} `DRAIN_TABLE_INVALID`.
 */
export function defineUpsert(name: string, options: UpsertOptions): UpsertDefinition {
  const { t } = options.match;
  const upsert = {
    name,
    match: { t: typeof t === "string" ? [t] : [...t] },
    key: { ...options.key },
    occurredAt: options.occurredAt,
    counts: { ...options.counts },
    latest: { ...options.latest },
    keepUnknownFields: options.keepUnknownFields ?? false,
    ...(options.alerts === true && { alerts: true }),
  };
  checkUpsert(upsert);
  return upsert;
}

/** @throws {@link MillraceError} `DRAIN_TABLE_INVALID`. */
export function checkUpsert(upsert: UpsertDefinition): void {
  const { name, key, counts, latest } = upsert;
  const own =
    upsert.alerts === true ? [...OWN_UPSERT_COLUMNS, ...OWN_ALERT_COLUMNS] : OWN_UPSERT_COLUMNS;
  checkTableName(name);
  if (!Array.isArray(upsert.match?.t)) throw tableInvalid(name, "match.t must be an array");
  if (new Set(upsert.match.t).size !== upsert.match.t.length) {
    throw tableInvalid(name, "match.t names a record type twice");
  }
  for (const type of upsert.match.t) checkRecordType(name, type);
  if (Object.keys(key).length === 0) throw tableInvalid(name, "a key needs a column");
  checkColumns(name, key, own);
  for (const [column, { type }] of Object.entries(key)) {
    if (!KEY_TYPES.has(type)) throw tableInvalid(name, `${column}: ${type} cannot be in a key`);
  }
  checkColumns(name, latest, own);
  checkColumnNames(
    name,
    [...Object.keys(key), ...Object.keys(counts), ...Object.keys(latest)],
    own,
  );
  checkField(name, "first_seen_at", upsert.occurredAt);
  for (const [column, condition] of Object.entries(counts)) {
    for (const field of Object.keys(condition)) checkField(name, column, field);
  }
}
