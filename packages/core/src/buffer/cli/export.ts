import { isUtf8 } from "node:buffer";
import { once } from "node:events";
import type { Writable } from "node:stream";
import { openReadOnly } from "./open-file.ts";

export interface ExportOptions {
  /** Leaves out what is claimed or has landed. */
  pendingOnly: boolean;
  /** `frames` are what the wire protocol takes. */
  format: "ndjson" | "frames";
  /** Goes into frames. */
  tokenHash: string;
}

interface ExportedRow {
  id: number;
  received_at: number;
  token: string | null;
  synced: number;
  batch_id: string | null;
  payload: Buffer;
}

/** Rows that are read at a time: a long read transaction would keep the WAL from being reset. */
const READ_ROWS = 200;

/** Writes the payloads of a file, oldest first. @returns how many. */
export async function exportPayloads(
  path: string,
  options: ExportOptions,
  out: Writable,
): Promise<number> {
  const database = openReadOnly(path);
  try {
    const read = database.prepare<[number], ExportedRow>(
      `SELECT id, received_at, token, synced, batch_id, payload FROM buffer_rows
       WHERE id > ? ${options.pendingOnly ? "AND synced = 0" : ""} ORDER BY id LIMIT ${READ_ROWS}`,
    );
    let count = 0;
    let from = 0;
    for (let rows = read.all(from); rows.length > 0; rows = read.all(from)) {
      for (const row of rows) {
        const bytes = options.format === "frames" ? frameOf(row, options.tokenHash) : lineOf(row);
        if (!out.write(bytes)) await once(out, "drain");
        count++;
        from = row.id;
      }
    }
    return count;
  } finally {
    database.close();
  }
}

function lineOf({ id, received_at, token, synced, batch_id, payload }: ExportedRow): string {
  const isText = isUtf8(payload);
  return `${JSON.stringify({
    id,
    receivedAt: new Date(received_at).toISOString(),
    token,
    state: synced === 0 ? "pending" : synced === 1 ? "landed" : "claimed",
    batchId: batch_id,
    encoding: isText ? "utf8" : "base64",
    payload: payload.toString(isText ? "utf8" : "base64"),
  })}\n`;
}

/** See docs/reference/wire-protocol.md. */
function frameOf({ payload }: ExportedRow, tokenHash: string): Buffer {
  const head = `v1:${tokenHash}:`;
  return Buffer.concat([Buffer.from(`${head.length + payload.length}:${head}`), payload]);
}
