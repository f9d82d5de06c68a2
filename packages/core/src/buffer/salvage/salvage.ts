import { chmodSync, chownSync, statSync } from "node:fs";
import type { Database } from "better-sqlite3";
import { checksumOf } from "../checksum.ts";
import { openDatabase } from "../database.ts";
import { ensureSchema } from "../schema.ts";
import { PageFile } from "./page-file.ts";
import { settleAccounts } from "./settle-accounts.ts";
import { readSmallTables, type SmallTables } from "./small-tables.ts";
import { assertNotOpen, removeUnfinished, salvagingPath, switchFiles } from "./switch-files.ts";
import { readLeaf, type TableRecord } from "./tree-page.ts";

/** What came of salvaging a damaged buffer file. */
export interface SalvageReport {
  /** Where the damaged file is now. */
  setAside: string;
  /** What was wrong with it. */
  reason: string;
  /** Payloads that are in the new file. */
  recoveredRows: number;
  /** Payloads that were in the damaged file and could not be read. */
  lostRows: number;
  /** False when the file's own count of them was gone too, so that more may be lost. */
  isCountKnown: boolean;
}

/** Rows that are inserted in one transaction. */
const INSERT_ROWS = 5_000;

/**
 * Makes a new file of whatever can be read of a damaged one and puts it in its place; the damaged
 * one is kept beside it. Ids, claims and totals stay, so that each batch keeps its id.
 *
 * Pages are read one by one, never by way of others: a damaged page costs the rows on it and
 * nothing else. Nobody may have the file open.
 */
export function salvage(path: string, reason: string): SalvageReport {
  assertNotOpen(path);
  removeUnfinished(path);
  const database = openDatabase(salvagingPath(path), { durability: "process", create: true });
  let accounts: Pick<SalvageReport, "recoveredRows" | "lostRows" | "isCountKnown">;
  try {
    const pages = new PageFile(path);
    try {
      const tables = readSmallTables(pages.latest);
      ensureSchema(database, tables.bufferId);
      copyPayloads(database, pages, tables);
      accounts = settleAccounts(database, tables);
    } finally {
      pages.close();
    }
  } finally {
    database.close();
  }
  copyOwnership(path, salvagingPath(path));
  return { setAside: switchFiles(path, reason), reason, ...accounts };
}

function copyPayloads(database: Database, pages: PageFile, tables: SmallTables): void {
  const insert = database.prepare("INSERT OR IGNORE INTO payloads VALUES (?, ?, ?, ?, ?)");
  const addToken = database.prepare("INSERT OR IGNORE INTO tokens VALUES (?, ?)");
  for (const [id, name] of tables.tokens) addToken.run(id, name);
  const mayBeHeld = heldIds(tables);
  let inserted = 0;
  database.exec("BEGIN");
  for (const { page, isFirst } of pages.images()) {
    if (isFirst) continue;
    for (const find of pages.views) {
      for (const record of readLeaf(page, find)) {
        if (!mayBeHeld(record.rowId)) continue;
        const row = toPayloadRow(record);
        if (row !== undefined) inserted += insert.run(...row).changes;
      }
    }
    if (inserted < INSERT_ROWS) continue;
    inserted = 0;
    database.exec("COMMIT; PRAGMA wal_checkpoint(PASSIVE); BEGIN");
  }
  database.exec("COMMIT");
}

/** Rows that are long gone leave copies on free pages: what is certainly one need not be copied. */
function heldIds({ progress, claims }: SmallTables): (id: number) => boolean {
  const claimedId = Math.min(...progress.map(({ claimed_id }) => claimed_id));
  return (id) =>
    id > claimedId || progress.length === 0 || claims.some(({ lo, hi }) => id >= lo && id <= hi);
}

/** The new file is for whoever the old one is for. */
function copyOwnership(from: string, to: string): void {
  const { mode, uid, gid } = statSync(from);
  chmodSync(to, mode);
  try {
    chownSync(to, uid, gid);
  } catch {
    // Only root may give files away, and only root can find one that is somebody else's.
  }
}

type PayloadRow = [number, number, number, number, Buffer];

/** A record as a row of payloads; undefined when it is none, or its checksum does not agree. */
function toPayloadRow({ rowId, values }: TableRecord): PayloadRow | undefined {
  const [alias, receivedAt, token, checksum, payload] = values;
  const isRow =
    values.length === 5 &&
    alias === null &&
    typeof receivedAt === "number" &&
    typeof token === "number" &&
    typeof checksum === "number" &&
    Buffer.isBuffer(payload) &&
    checksumOf(rowId, receivedAt, token, payload) === checksum;
  return isRow ? [rowId, receivedAt, token, checksum, payload] : undefined;
}
