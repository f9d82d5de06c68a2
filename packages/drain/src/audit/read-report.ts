import type { BufferedRuns } from "@millrace/core/buffer";
import type { Client } from "pg";
import { momentBefore } from "../partitions/partition-calendar.ts";
import type { DrainSchema } from "../schema/drain-schema.ts";
import { EVENTS_TABLE } from "../schema/events-table.ts";
import { parseRetention } from "../schema/partition-by.ts";
import type { AuditedBuffer, AuditedHour, AuditedTable, AuditReport } from "./audit-report.ts";
import { accountFor, withoutLanded } from "./buffer-account.ts";
import {
  countRows,
  type HourRange,
  readLandedIds,
  readLandedPayloads,
  readLandedRecords,
  readLetters,
  type RecordsByHour,
} from "./read-landed.ts";

const HOUR_MS = 3_600_000;
const NO_LETTERS = { written: 0, replayed: 0, discarded: 0, found: 0, foundPayloads: 0 };

/** A buffer file, as it was before the database was asked. */
export interface BufferFile extends BufferedRuns {
  path: string;
}

export interface ReportOptions {
  schema: DrainSchema;
  files: readonly BufferFile[];
  range: HourRange;
  /** Called before each table is counted. */
  onProgress: () => void;
}

/** Reads and compares; call it within one snapshot of the database. */
export async function readReport(
  client: Client,
  { schema, files, range, onProgress }: ReportOptions,
): Promise<AuditReport> {
  const buffers = await readBuffers(client, files, range);
  const landed = await readLandedRecords(client, range);
  const letters = await readLetters(client, range);
  const found: RecordsByHour = new Map();
  for (const { name, countedFrom } of countableTables(schema)) {
    onProgress();
    const from = countedFrom > range.from ? countedFrom : range.from;
    const rows = await countRows(client, name, { from, to: range.to });
    for (let hour = from.getTime(); hour < range.to.getTime(); hour += HOUR_MS) {
      const tables = found.get(hour) ?? new Map<string, number>();
      found.set(hour, tables.set(name, rows.get(hour) ?? 0));
    }
  }
  const hours: AuditedHour[] = [];
  for (let hour = range.from.getTime(); hour < range.to.getTime(); hour += HOUR_MS) {
    const tables = compareTables(landed.get(hour), found.get(hour));
    const ofLetters = letters.get(hour) ?? NO_LETTERS;
    const { written, replayed, discarded } = ofLetters;
    const deadLetters = {
      ...ofLetters,
      missing: written - replayed - discarded - ofLetters.found,
    };
    const ofBuffers = buffers.get(hour) ?? [];
    if (ofBuffers.length === 0 && tables.length === 0 && !letters.has(hour)) continue;
    const isComplete =
      ofBuffers.every(({ unaccounted }) => unaccounted === 0) &&
      tables.every(({ missing }) => missing === 0) &&
      deadLetters.missing === 0;
    hours.push({ hour: new Date(hour), isComplete, buffers: ofBuffers, tables, deadLetters });
  }
  return {
    ...range,
    isComplete: hours.every(({ isComplete }) => isComplete),
    hours,
    files: files.map(({ path, bufferId, droppedRows, lostRows }) => ({
      path,
      bufferId,
      droppedRows,
      lostRows,
    })),
  };
}

/** Each buffer's account, by hour. */
async function readBuffers(
  client: Client,
  files: readonly BufferFile[],
  range: HourRange,
): Promise<Map<number, AuditedBuffer[]>> {
  const landed = await readLandedPayloads(client, range);
  const byHour = new Map<number, AuditedBuffer[]>();
  const nothing = { landed: [], lastIdBefore: undefined, firstIdAfter: undefined };
  for (const bufferId of new Set([...landed.keys(), ...files.map((file) => file.bufferId)])) {
    const file = files.find((candidate) => candidate.bufferId === bufferId);
    const runs = file?.runs ?? [];
    const [oldest] = runs;
    const landedIds = oldest && (await readLandedIds(client, bufferId, oldest.firstId));
    const account = accountFor(
      bufferId,
      {
        ...(landed.get(bufferId) ?? nothing),
        buffered: file && withoutLanded(runs, landedIds ?? []),
      },
      { from: range.from.getTime(), to: range.to.getTime() },
    );
    for (const [hour, buffer] of account) {
      byHour.set(hour, [...(byHour.get(hour) ?? []), buffer]);
    }
  }
  return byHour;
}

/** Tables whose rows know when they were received, and from when on none was dropped for its age. */
function countableTables(schema: DrainSchema): Array<{ name: string; countedFrom: Date }> {
  const tables = schema.tables.map(({ name, partitionBy }) => {
    const retention = parseRetention(partitionBy?.retain);
    if (retention === undefined) return { name, countedFrom: new Date(0) };
    const cutoff = momentBefore(new Date(), retention).getTime();
    return { name, countedFrom: new Date(Math.ceil(cutoff / HOUR_MS) * HOUR_MS) };
  });
  return [...tables, { name: EVENTS_TABLE, countedFrom: new Date(0) }];
}

function compareTables(
  landed: ReadonlyMap<string, number> = new Map(),
  found: ReadonlyMap<string, number> = new Map(),
): AuditedTable[] {
  return [...new Set([...landed.keys(), ...found.keys()])].toSorted().flatMap((table) => {
    const records = landed.get(table) ?? 0;
    const rows = found.get(table);
    if (records === 0 && rows === 0) return [];
    return [
      { table, landed: records, found: rows, missing: rows === undefined ? 0 : records - rows },
    ];
  });
}
