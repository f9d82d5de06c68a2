import { isBatchId } from "../batch-id.ts";
import type { Progress } from "../schema.ts";
import { readTemplate } from "../template.ts";
import type { FindPage } from "./page-file.ts";
import { readTable, type RecordValue } from "./tree-page.ts";

/** A claim as the file holds it. */
export interface SalvagedClaim {
  batch_id: string;
  owner: string;
  worker: number;
  lo: number;
  hi: number;
  rows: number;
  bytes: number;
  state: "claimed" | "landed";
  attempts: number;
  crashes: number;
  suspect: number | null;
  convicted: string;
  claimed_at: number;
}

/** What a file says beside its payloads: of each thing up to two copies. */
export interface SmallTables {
  bufferId: string | undefined;
  tokens: Map<number, string>;
  /** Both copies, the first one first; a batch id may appear twice. */
  claims: SalvagedClaim[];
  progress: Progress[];
}

const CLAIM_KEYS = [
  "batch_id",
  "owner",
  "worker",
  "lo",
  "hi",
  "rows",
  "bytes",
  "state",
  "attempts",
  "crashes",
  "suspect",
  "convicted",
  "claimed_at",
] as const satisfies ReadonlyArray<keyof SalvagedClaim>;
const PROGRESS_KEYS = [
  "appended_id",
  "appended_rows",
  "appended_bytes",
  "claimed_id",
  "claimed_rows",
  "claimed_bytes",
  "purged_rows",
  "purged_bytes",
  "dropped_rows",
  "dropped_bytes",
  "lost_rows",
  "lost_bytes",
] as const satisfies ReadonlyArray<keyof Progress>;

/** Reads the tables and their spare copies; page 1, which says where they are, is not needed. */
export function readSmallTables(find: FindPage): SmallTables {
  const roots = findRoots();
  const read = (table: string) => [...readTable(roots.get(table) ?? 0, find)];
  const records = (table: string) => read(table).concat(read(`${table}_spare`));
  const meta = records("meta").find(({ values }) => values[0] === "buffer_id" && isUuid(values[1]));
  const tokens = new Map<number, string>();
  for (const { rowId, values } of records("tokens").toReversed()) {
    if (typeof values[1] === "string") tokens.set(rowId, values[1]);
  }
  return {
    bufferId: meta === undefined ? undefined : String(meta.values[1]),
    tokens,
    claims: records("claims")
      .map(({ values }) => toClaim(values))
      .filter((claim) => claim !== undefined),
    progress: records("progress")
      .map(({ values }) => toProgress(values))
      .filter((progress) => progress !== undefined),
  };
}

function findRoots(): Map<string, number> {
  return readTemplate((template) => {
    const tables = template
      .prepare<[], { name: string; rootpage: number }>(
        "SELECT name, rootpage FROM sqlite_master WHERE type = 'table'",
      )
      .all();
    return new Map(tables.map(({ name, rootpage }) => [name, rootpage]));
  });
}

function isUuid(value: RecordValue | undefined): boolean {
  return typeof value === "string" && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(value);
}

function toClaim(values: RecordValue[]): SalvagedClaim | undefined {
  const claim = Object.fromEntries(
    CLAIM_KEYS.map((key, index) => [key, values[index]]),
  ) as unknown as SalvagedClaim;
  const isSane =
    typeof claim.batch_id === "string" &&
    isBatchId(claim.batch_id) &&
    typeof claim.owner === "string" &&
    isCount(claim.lo) &&
    isCount(claim.hi) &&
    claim.lo <= claim.hi &&
    isCount(claim.worker) &&
    isCount(claim.rows) &&
    isCount(claim.bytes) &&
    isCount(claim.attempts) &&
    isCount(claim.crashes) &&
    (claim.state === "claimed" || claim.state === "landed") &&
    isIdList(claim.convicted) &&
    isCount(claim.claimed_at);
  return isSane ? claim : undefined;
}

function toProgress(values: RecordValue[]): Progress | undefined {
  const counts = values.slice(1, 1 + PROGRESS_KEYS.length);
  if (counts.length !== PROGRESS_KEYS.length || !counts.every(isCount)) return undefined;
  return Object.fromEntries(
    PROGRESS_KEYS.map((key, index) => [key, counts[index]]),
  ) as unknown as Progress;
}

function isCount(value: RecordValue | undefined): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function isIdList(text: unknown): boolean {
  try {
    const list: unknown = JSON.parse(String(text));
    return Array.isArray(list) && list.every((id) => typeof id === "number");
  } catch {
    return false;
  }
}
