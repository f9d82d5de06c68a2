import { randomUUID } from "node:crypto";
import Sqlite, { type Database } from "better-sqlite3";
import { MillraceError } from "../errors.ts";

/** Marks a file as ours ("MILR"); `file` and `PRAGMA application_id` show it. */
export const APPLICATION_ID = 0x4d494c52;
const SCHEMA_VERSION = 1;

const CLAIM_COLUMNS = `
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
    claimed_at INTEGER NOT NULL`;
const NEW_CLAIM = `NEW.batch_id, NEW.owner, NEW.worker, NEW.lo, NEW.hi, NEW.rows, NEW.bytes,
      NEW.state, NEW.attempts, NEW.crashes, NEW.suspect, NEW.convicted, NEW.claimed_at`;

const PROGRESS_COLUMNS = `
    one INTEGER PRIMARY KEY CHECK (one = 1),
    appended_id INTEGER NOT NULL,
    appended_rows INTEGER NOT NULL,
    appended_bytes INTEGER NOT NULL,
    claimed_id INTEGER NOT NULL,
    claimed_rows INTEGER NOT NULL,
    claimed_bytes INTEGER NOT NULL,
    purged_rows INTEGER NOT NULL,
    purged_bytes INTEGER NOT NULL,
    dropped_rows INTEGER NOT NULL,
    dropped_bytes INTEGER NOT NULL,
    lost_rows INTEGER NOT NULL,
    lost_bytes INTEGER NOT NULL`;

/**
 * `progress` is one row of running totals. `claimed` counts everything that is no longer pending:
 * claimed, `purged` once it had landed, `dropped` to make room, or `lost` to damage. Depth is their
 * difference, so that nobody has to count rows.
 *
 * The `_spare` tables hold a second copy, on pages of their own, of what tells a batch that may have
 * landed from one that has not. Triggers keep them; an append alone changes none.
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
    checksum INTEGER NOT NULL,
    payload BLOB NOT NULL
  );
  CREATE TABLE owners(
    owner TEXT PRIMARY KEY,
    pid INTEGER NOT NULL,
    boot_id TEXT NOT NULL,
    heartbeat_at INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE claims(${CLAIM_COLUMNS}
  ) WITHOUT ROWID;
  CREATE TABLE progress(${PROGRESS_COLUMNS}
  );
  CREATE TABLE meta_spare(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE tokens_spare(id INTEGER PRIMARY KEY, name TEXT NOT NULL);
  CREATE TABLE claims_spare(${CLAIM_COLUMNS}
  ) WITHOUT ROWID;
  CREATE TABLE progress_spare(${PROGRESS_COLUMNS}
  );
  CREATE TRIGGER meta_added AFTER INSERT ON meta BEGIN
    INSERT INTO meta_spare VALUES (NEW.key, NEW.value);
  END;
  CREATE TRIGGER token_added AFTER INSERT ON tokens BEGIN
    INSERT INTO tokens_spare VALUES (NEW.id, NEW.name);
  END;
  CREATE TRIGGER claim_added AFTER INSERT ON claims BEGIN
    INSERT INTO claims_spare VALUES (${NEW_CLAIM});
  END;
  CREATE TRIGGER claim_changed AFTER UPDATE ON claims BEGIN
    REPLACE INTO claims_spare VALUES (${NEW_CLAIM});
  END;
  CREATE TRIGGER claim_removed AFTER DELETE ON claims BEGIN
    DELETE FROM claims_spare WHERE batch_id = OLD.batch_id;
  END;
  CREATE TRIGGER progress_changed
    AFTER UPDATE OF claimed_id, claimed_rows, purged_rows, dropped_rows, lost_rows ON progress
  BEGIN
    REPLACE INTO progress_spare VALUES (
      1, NEW.appended_id, NEW.appended_rows, NEW.appended_bytes, NEW.claimed_id, NEW.claimed_rows,
      NEW.claimed_bytes, NEW.purged_rows, NEW.purged_bytes, NEW.dropped_rows, NEW.dropped_bytes,
      NEW.lost_rows, NEW.lost_bytes);
  END;
  INSERT INTO progress VALUES (1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  INSERT INTO progress_spare SELECT * FROM progress;
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
  // Both stand in one page with much else. The file may be ours, and its first page damaged.
  if (readMeta(database, "schema_version") === String(SCHEMA_VERSION)) {
    throw new Sqlite.SqliteError("its header is not what it was", "SQLITE_CORRUPT");
  }
  throw new MillraceError(
    "BUFFER_SCHEMA_UNKNOWN",
    applicationId === APPLICATION_ID
      ? `${database.name} has buffer schema ${version}, this version reads ${SCHEMA_VERSION}: drain it with the version that wrote it, or use another path`
      : `${database.name} is a SQLite database but not a Millrace buffer: use another path`,
    { details: { path: database.name, version } },
  );
}

function readMeta(database: Database, key: string): string | undefined {
  try {
    const value = database.prepare("SELECT value FROM meta WHERE key = ?").pluck().get(key);
    return typeof value === "string" ? value : undefined;
  } catch {
    // Another program's file has no such table.
    return undefined;
  }
}

/** What the tables of a file look like and where they are; the same in every sound file. */
export function describeSchema(database: Database): string {
  const objects = database
    .prepare("SELECT type, name, tbl_name, rootpage, sql FROM sqlite_master ORDER BY name")
    .raw()
    .all();
  return JSON.stringify(objects);
}

/**
 * Creates the tables of a new file, which becomes the buffer `bufferId`.
 *
 * @returns the id of the buffer, the same for the life of the file.
 */
export function ensureSchema(database: Database, bufferId: string = randomUUID()): string {
  const create = database.transaction(() => {
    if (countObjects(database) === 0) {
      database.exec(SCHEMA);
      const setMeta = database.prepare("INSERT INTO meta VALUES (?, ?)");
      setMeta.run("buffer_id", bufferId);
      setMeta.run("schema_version", String(SCHEMA_VERSION));
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
  dropped_rows: number;
  dropped_bytes: number;
  lost_rows: number;
  lost_bytes: number;
}

/** What the file holds: pending, claimed, and landed but not yet purged. */
export function depthOf(progress: Progress): { rows: number; bytes: number } {
  const { appended_rows, purged_rows, dropped_rows, lost_rows } = progress;
  const { appended_bytes, purged_bytes, dropped_bytes, lost_bytes } = progress;
  return {
    rows: appended_rows - purged_rows - dropped_rows - lost_rows,
    bytes: appended_bytes - purged_bytes - dropped_bytes - lost_bytes,
  };
}
