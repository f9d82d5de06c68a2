/** What a batch adds to one row of an upsert table. */
export interface UpsertRow {
  /** Token, then the key columns. */
  readonly key: readonly string[];
  readonly counts: number[];
  /** Moments of the earliest and the latest record, in microseconds since 1970. */
  firstSeenAt: number;
  lastSeenAt: number;
  /** The `latest` columns as PostgreSQL reads them, then the unknown fields if they are kept. */
  latest: ReadonlyArray<string | null>;
}
