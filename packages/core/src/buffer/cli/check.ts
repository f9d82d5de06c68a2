import { statSync } from "node:fs";
import type { Database } from "better-sqlite3";
import { messageOf } from "../../errors.ts";
import { type FileStatus, readFileStatus } from "../file-status.ts";
import { checksumOf } from "../checksum.ts";
import { findDeadOwners } from "../owners.ts";
import { isDamage, readDamageMark } from "../salvage/damage-mark.ts";
import { findDamage, findHeaderDamage, findWalDamage } from "../soundness.ts";
import { walFileBytes } from "../wal-size.ts";
import { assertExists, openReadOnly } from "./open-file.ts";

/** What `millrace-buffer check` tells of a file. */
export interface CheckReport {
  path: string;
  /** What is wrong with it; undefined for a sound file. */
  damage: string | undefined;
  /** Payloads whose bytes have changed on disk. */
  changedRows: number;
  bufferId?: string | undefined;
  fileBytes: number;
  walBytes: number;
  status?: FileStatus | undefined;
  claims: CheckedClaim[];
}

/** A batch that is claimed, or has landed and is not purged yet. */
interface CheckedClaim {
  batchId: string;
  state: "claimed" | "landed";
  worker: number;
  rows: number;
  bytes: number;
  attempts: number;
  crashes: number;
  claimedAt: number;
  /** Whether its process is gone, so that another may take it over. */
  isOwnerDead: boolean;
}

/** Rows that are read at a time: a long read transaction would keep the WAL from being reset. */
const READ_ROWS = 500;

/** Reads a whole file and tells what is in it and whether it is sound. Changes nothing. */
export function check(path: string): CheckReport {
  assertExists(path);
  const report: CheckReport = {
    path,
    damage: readDamageMark(path)?.reason,
    changedRows: 0,
    fileBytes: statSync(path, { throwIfNoEntry: false })?.size ?? 0,
    walBytes: walFileBytes(path),
    claims: [],
  };
  try {
    report.damage ??= findHeaderDamage(path) ?? findWalDamage(path, Infinity);
    const database = openReadOnly(path);
    try {
      report.damage ??= findDamage(database, Infinity);
      const { value } = database
        .prepare<[], { value: string }>("SELECT value FROM meta WHERE key = 'buffer_id'")
        .get() ?? { value: "" };
      report.bufferId = value;
      report.status = readFileStatus(database);
      report.claims = listClaims(database);
      report.changedRows = countChangedRows(database);
    } finally {
      database.close();
    }
  } catch (error) {
    if (!isDamage(error)) throw error;
    report.damage ??= messageOf(error);
  }
  if (report.changedRows > 0) report.damage ??= `${report.changedRows} payloads changed on disk`;
  return report;
}

function listClaims(database: Database): CheckedClaim[] {
  const known = new Set(database.prepare("SELECT owner FROM owners").pluck().all());
  const dead = new Set(findDeadOwners(database, ""));
  return database
    .prepare<[], Record<string, unknown>>("SELECT * FROM claims ORDER BY lo")
    .all()
    .map((claim) => ({
      batchId: String(claim["batch_id"]),
      state: claim["state"] === "landed" ? "landed" : "claimed",
      worker: Number(claim["worker"]),
      rows: Number(claim["rows"]),
      bytes: Number(claim["bytes"]),
      attempts: Number(claim["attempts"]),
      crashes: Number(claim["crashes"]),
      claimedAt: Number(claim["claimed_at"]),
      isOwnerDead: !known.has(claim["owner"]) || dead.has(String(claim["owner"])),
    }));
}

function countChangedRows(database: Database): number {
  const read = database.prepare<
    [number],
    { id: number; received_at: number; token: number; checksum: number; payload: Buffer }
  >(`SELECT * FROM payloads WHERE id > ? ORDER BY id LIMIT ${READ_ROWS}`);
  let changed = 0;
  let from = 0;
  for (let rows = read.all(from); rows.length > 0; rows = read.all(from)) {
    for (const { id, received_at, token, checksum, payload } of rows) {
      if (checksumOf(id, received_at, token, payload) !== checksum) changed++;
      from = id;
    }
  }
  return changed;
}

/** The report as lines for a person. */
export function describe(report: CheckReport, now: number): string[] {
  const { status, claims } = report;
  const lines = [
    `${report.path}: ${report.damage === undefined ? "sound" : `DAMAGED: ${report.damage}`}`,
    `file ${megabytes(report.fileBytes)}, WAL ${megabytes(report.walBytes)}${report.bufferId ? `, buffer ${report.bufferId}` : ""}`,
  ];
  if (status !== undefined) {
    const oldest = status.oldestPendingAt;
    lines.push(
      `pending ${status.pendingRows} (${megabytes(status.pendingBytes)}${oldest === undefined ? "" : `, oldest ${age(now - oldest)}`})`,
      `claimed ${status.claimedRows}, landed and not yet purged ${status.landedRows}`,
      `ever appended ${status.appendedRows} = purged ${status.purgedRows} + dropped ${status.droppedRows} + lost ${status.lostRows} + in the file ${status.rows}`,
    );
  }
  for (const claim of claims) {
    lines.push(
      `batch ${claim.batchId}: ${claim.state} by worker ${claim.worker}${claim.isOwnerDead ? " of a process that is gone" : ""}, ${claim.rows} payloads, try ${claim.attempts}, ${claim.crashes} crashes, ${age(now - claim.claimedAt)}`,
    );
  }
  return lines;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

function age(milliseconds: number): string {
  return `${Math.max(0, Math.round(milliseconds / 1_000))} s ago`;
}
