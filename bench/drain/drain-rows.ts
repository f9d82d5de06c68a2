import { appendFileSync, closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { createBuffer } from "@millrace/core/buffer";
import { nightwatch } from "@millrace/drain/nightwatch";
import { createPayloadStamper } from "@millrace/load";
// The encoder is no part of the package's public API, and COPY is to get the very same text.
import { compileRouter, type Router } from "../../packages/drain/src/encode/router.ts";
import { UNLIMITED_BUFFER } from "../process/unlimited-buffer.ts";
import { warningsOnly } from "../process/warnings-only.ts";

/** Marks the records. */
export const DRAIN_RUN = "drain";

const TOKEN = "bench";

/** One COPY: where its data is in the file. */
interface CopyPiece {
  sql: string;
  offset: number;
  bytes: number;
}

/** The COPYs of one transaction. */
export type CopyTransaction = CopyPiece[];

/** The same rows in the two forms that are landed. */
export interface DrainRows {
  payloads: number;
  bufferPath: string;
  /** COPY text of all transactions. */
  copyPath: string;
  transactions: CopyTransaction[];
  /** COPY text once more, a file for each table. */
  tables: Array<{ sql: string; path: string }>;
}

/** Fills a buffer with payloads of one record, and writes what the drain would make of them. */
export async function prepareDrainRows(
  folder: string,
  payloads: number,
  rowsPerTransaction: number,
): Promise<DrainRows> {
  const bufferPath = join(folder, "full.db");
  const copyPath = join(folder, "transactions.copy");
  const buffer = createBuffer({ path: bufferPath, ...UNLIMITED_BUFFER, logger: warningsOnly });
  const router = compileRouter(nightwatch());
  const stamper = createPayloadStamper({ run: DRAIN_RUN });
  const transactions: CopyTransaction[] = [];
  const tablePaths = new Map<string, string>();
  const copyFile = openSync(copyPath, "w");
  let offset = 0;
  await buffer.start();
  while (stamper.made < payloads) {
    const rows = Math.min(rowsPerTransaction, payloads - stamper.made);
    const group = Array.from({ length: rows }, () => stamper.next());
    await Promise.all(group.map((payload) => buffer.append(payload, TOKEN)));
    const pieces: CopyTransaction = [];
    for (const [sql, text] of encode(router, group)) {
      const bytes = writeSync(copyFile, text);
      pieces.push({ sql, offset, bytes });
      offset += bytes;
      const path = tablePaths.get(sql) ?? join(folder, `table-${tablePaths.size}.copy`);
      tablePaths.set(sql, path);
      appendFileSync(path, text);
    }
    transactions.push(pieces);
  }
  closeSync(copyFile);
  await buffer.close();
  const tables = [...tablePaths].map(([sql, path]) => ({ sql, path }));
  return { payloads, bufferPath, copyPath, transactions, tables };
}

/** COPY text by COPY statement. */
function encode(router: Router, payloads: readonly Buffer[]): Map<string, string> {
  const texts = new Map<string, string>();
  const meta = { receivedAt: Date.now(), token: TOKEN };
  for (const payload of payloads) {
    for (const record of JSON.parse(payload.toString("utf8")) as Array<Record<string, unknown>>) {
      const table = router.route(record);
      const { copySql } = table;
      if (copySql === undefined) throw new Error(`${String(record["t"])} has no table to copy to`);
      texts.set(copySql, (texts.get(copySql) ?? "") + table.encode(record, meta));
    }
  }
  return texts;
}
