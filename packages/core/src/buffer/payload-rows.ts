import type { Database, Statement } from "better-sqlite3";
import { checksumOf } from "./checksum.ts";
import { GroupedPayloads } from "./grouped-payloads.ts";

/** A row whose bytes are not what was written. */
export interface LostPayload {
  id: number;
  bytes: number;
}

/** What a range of ids holds. */
export interface PayloadRange {
  payloads: GroupedPayloads;
  lost: LostPayload[];
}

type Row = [id: number, receivedAt: number, token: number, checksum: number, payload: Buffer];

/** All rows of a group: the payloads end to end, then JSON arrays of one number a row. */
type Group = [
  payloads: Buffer | null,
  ids: string,
  receivedAts: string,
  tokens: string,
  checksums: string,
  lengths: string,
];

/** Payload bytes that one group aims at. */
const GROUP_BYTES = 96 * 1024;
/** Fewer rows are read one by one. */
const MIN_GROUP_ROWS = 4;

/**
 * Reads payloads, many at a time as one blob: a buffer for each costs three times as much to read, and as
 * much again to collect as garbage.
 */
export class PayloadRows {
  readonly #rows: Statement<[number, number], Row>;
  readonly #group: Statement<[number, number], Group>;
  readonly #tokenName: Statement<[number], string>;
  readonly #tokenNames = new Map<number, string>();

  constructor(database: Database) {
    this.#rows = database
      .prepare<[number, number]>(
        `SELECT id, received_at, token, checksum, payload FROM payloads
         WHERE id BETWEEN ? AND ? ORDER BY id`,
      )
      .raw() as unknown as Statement<[number, number], Row>;
    this.#group = database
      .prepare<[number, number]>(
        `SELECT CAST(group_concat(payload, '') AS BLOB), json_group_array(id),
           json_group_array(received_at), json_group_array(token), json_group_array(checksum),
           json_group_array(octet_length(payload))
         FROM (SELECT * FROM payloads WHERE id BETWEEN ? AND ? ORDER BY id)`,
      )
      .raw() as unknown as Statement<[number, number], Group>;
    this.#tokenName = database
      .prepare<[number]>("SELECT name FROM tokens WHERE id = ?")
      .pluck() as unknown as Statement<[number], string>;
  }

  /** @param averageBytes of a payload of the range, about. */
  read(lo: number, hi: number, averageBytes: number): PayloadRange {
    const range: PayloadRange = { payloads: new GroupedPayloads(), lost: [] };
    const groupRows = Math.floor(GROUP_BYTES / Math.max(1, averageBytes));
    if (groupRows < MIN_GROUP_ROWS) {
      this.#addRows(range, lo, hi);
      return range;
    }
    for (let from = lo; from <= hi; from += groupRows) {
      const to = Math.min(hi, from + groupRows - 1);
      // Damage may have left a value that does not fit in: then row by row tells which is whole.
      if (!this.#addGroup(range, from, to)) this.#addRows(range, from, to);
    }
    return range;
  }

  #addRows({ payloads, lost }: PayloadRange, lo: number, hi: number): void {
    for (const [id, receivedAt, token, checksum, payload] of this.#rows.all(lo, hi)) {
      if (checksumOf(id, receivedAt, token, payload) !== checksum) {
        lost.push({ id, bytes: payload.byteLength });
        continue;
      }
      payloads.addGroup(payload);
      payloads.add(id, receivedAt, this.#nameOf(token), 0, payload.byteLength);
    }
  }

  /** @returns false, having added nothing, when the group cannot be read as one. */
  #addGroup({ payloads, lost }: PayloadRange, lo: number, hi: number): boolean {
    let group: Group | undefined;
    try {
      group = this.#group.get(lo, hi);
    } catch {
      return false;
    }
    if (group === undefined) return false;
    const bytes = group[0] ?? Buffer.alloc(0);
    const ids = numbersOf(group[1]);
    const receivedAts = numbersOf(group[2]);
    const tokens = numbersOf(group[3]);
    const checksums = numbersOf(group[4]);
    const lengths = numbersOf(group[5]);
    let total = 0;
    for (const length of lengths) total += length;
    if (total !== bytes.byteLength) return false;
    payloads.addGroup(bytes);
    let start = 0;
    for (let index = 0; index < ids.length; index++) {
      const [id, receivedAt, token] = [
        ids[index] as number,
        receivedAts[index] as number,
        tokens[index] as number,
      ];
      const end = start + (lengths[index] as number);
      const checksum = checksumOf(id, receivedAt, token, bytes.subarray(start, end));
      if (checksum === checksums[index]) {
        payloads.add(id, receivedAt, this.#nameOf(token), start, end);
      } else {
        lost.push({ id, bytes: end - start });
      }
      start = end;
    }
    return true;
  }

  #nameOf(tokenId: number): string {
    let name = this.#tokenNames.get(tokenId);
    if (name === undefined) {
      name = this.#tokenName.get(tokenId);
      if (name === undefined) return "default";
      this.#tokenNames.set(tokenId, name);
    }
    return name;
  }
}

function numbersOf(json: string): number[] {
  return JSON.parse(json) as number[];
}
