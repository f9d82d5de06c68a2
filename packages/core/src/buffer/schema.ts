import { randomUUID } from "node:crypto";
import type { Database } from "better-sqlite3";
import { MillraceError } from "../errors.ts";

/** Marks a file as ours ("MILR"); `file` and `PRAGMA application_id` show it. */
const APPLICATION_ID = 0x4d494c52;
const SCHEMA_VERSION = 1;

/**
 * `progress` is one row of running totals: what was ever appended, claimed and purged. Depth is
 * their difference, so that nobody has to count rows.
 *
 * `claims.crashes` counts worker threads that died with the batch in hand; `suspect` is the payload
 * that such a thread was about to read, `convicted` a JSON array of those that killed one.
 *
 * `buffer_rows` serves people with the sqlite3 shell: `synced` is 0 for pending, 100 + worker for
 * claimed, 1 for landed and not yet purged.
 */
const SCHEMA = `
  CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE tokens(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
  CREATE TABLE payloads(
    id INTEGER PRIMARY KEY,
    received_at INTEGER NOT NULL,
    token INTEGER NOT NULL,
    payload BLOB NOT NULL
  );
  CREATE TABLE owners(
    owner TEXT PRIMARY KEY,
    pid INTEGER NOT NULL,
    boot_id TEXT NOT NULL,
    heartbeat_at INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE claims(
    batch_id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    worker INTEGER NOT NULL,
    lo INTEGER NOT NULL,
    hi INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('claimed', 'landed')),
    attempts INTEGER NOT NULL,
    crashes INTEGER NOT NULL DEFAULT 0,
    suspect INTEGER,
    convicted TEXT NOT NULL DEFAULT '[]',
    claimed_at INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE progress(
    one INTEGER PRIMARY KEY CHECK (one = 1),
    appended_id INTEGER NOT NULL,
    appended_rows INTEGER NOT NULL,
    appended_bytes INTEGER NOT NULL,
    claimed_id INTEGER NOT NULL,
    claimed_rows INTEGER NOT NULL,
    claimed_bytes INTEGER NOT NULL,
    purged_rows INTEGER NOT NULL,
    purged_bytes INTEGER NOT NULL
  );
  INSERT INTO progress VALUES (1, 0, 0, 0, 0, 0, 0, 0, 0);
  CREATE VIEW buffer_rows AS
    SELECT
      payloads.id,
      payloads.received_at,
      tokens.name AS token,
      CASE
        WHEN claims.batch_id IS NULL THEN 0
        WHEN claims.state = 'landed' THEN 1
        ELSE 100 + claims.worker
      END AS synced,
      claims.batch_id,
      length(payloads.payload) AS bytes,
      payloads.payload
    FROM payloads
    LEFT JOIN tokens ON tokens.id = payloads.token
    LEFT JOIN claims ON payloads.id BETWEEN claims.lo AND claims.hi;
`;

/**
 * Checks that a file is ours to use; one without any table is.
 *
 * @throws {@link MillraceError} `BUFFER_SCHEMA_UNKNOWN` for a file that another program or a newer
 * version wrote.
 */
export function assertBufferFile(database: Database): void {
  if (countObjects(database) === 0) return;
  const version = Number(database.pragma("user_version", { simple: true }));
  const applicationId = Number(database.pragma("application_id", { simple: true }));
  if (applicationId === APPLICATION_ID && version === SCHEMA_VERSION) return;
  throw new MillraceError(
    "BUFFER_SCHEMA_UNKNOWN",
    applicationId === APPLICATION_ID
      ? `${database.name} has buffer schema ${version}, this version reads ${SCHEMA_VERSION}: drain it with the version that wrote it, or use another path`
      : `${database.name} is a SQLite database but not a Millrace buffer: use another path`,
    { details: { path: database.name, version } },
  );
}

/**
 * Creates the tables of a new file.
 *
 * @returns the id of the buffer, the same for the life of the file.
 */
export function ensureSchema(database: Database): string {
  const create = database.transaction(() => {
    if (countObjects(database) === 0) {
      database.exec(SCHEMA);
      database.prepare("INSERT INTO meta VALUES ('buffer_id', ?)").run(randomUUID());
      database.pragma(`application_id = ${APPLICATION_ID}`);
      database.pragma(`user_version = ${SCHEMA_VERSION}`);
    }
    return String(database.prepare("SELECT value FROM meta WHERE key = 'buffer_id'").pluck().get());
  });
  return create.immediate();
}

function countObjects(database: Database): number {
  return Number(database.prepare("SELECT count(*) FROM sqlite_master").pluck().get());
}

/** The running totals of a buffer file. */
export interface Progress {
  appended_id: number;
  appended_rows: number;
  appended_bytes: number;
  claimed_id: number;
  claimed_rows: number;
  claimed_bytes: number;
  purged_rows: number;
  purged_bytes: number;
}
