/** What a batch adds to one row of an upsert table; values are texts that PostgreSQL reads. */
export interface UpsertRow {
  /** Token, then the key columns. */
  readonly key: readonly string[];
  readonly counts: number[];
  firstSeenAt: string;
  lastSeenAt: string;
  /** The `latest` columns, then the unknown fields if they are kept. */
  latest: ReadonlyArray<string | null>;
}
