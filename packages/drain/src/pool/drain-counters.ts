import type { WorkerMessage } from "../messages.ts";

/** What a pool has done since it was created. */
export interface DrainCounters {
  /** Batches that have left the buffer. */
  batches: number;
  /** Batches that an earlier try had landed already. */
  batchesFoundLanded: number;
  /** Payloads in them. */
  payloads: number;
  /** Payloads that became dead letters as a whole; they count among `payloads`. */
  deadPayloads: number;
  /** Records that landed in a table. */
  records: number;
  /** The same by table. */
  recordsByTable: Record<string, number>;
  /** Records and payloads that could not land. */
  deadLetters: number;
  /** The same by `code`. */
  deadLettersByCode: Record<string, number>;
  /** Batches that were tried again, by what was in the way. */
  retriesByReason: Record<string, number>;
  /** Threads that ended and were replaced. */
  workerDeaths: number;
  /** Time spent landing batches, in seconds, over all workers. */
  landingSeconds: number;
}

export function createCounters(): DrainCounters {
  return {
    batches: 0,
    batchesFoundLanded: 0,
    payloads: 0,
    deadPayloads: 0,
    records: 0,
    recordsByTable: {},
    deadLetters: 0,
    deadLettersByCode: {},
    retriesByReason: {},
    workerDeaths: 0,
    landingSeconds: 0,
  };
}

export function count(counters: DrainCounters, message: WorkerMessage): void {
  if (message.type === "retry") {
    add(counters.retriesByReason, message.reason, 1);
  } else if (message.type === "landed") {
    counters.batches++;
    if (message.wasLanded) counters.batchesFoundLanded++;
    counters.payloads += message.payloads;
    counters.deadPayloads += message.deadPayloads;
    counters.landingSeconds += message.seconds;
    for (const [table, rows] of message.records) {
      counters.records += rows;
      add(counters.recordsByTable, table, rows);
    }
    for (const [code, letters] of message.deadLetters) {
      counters.deadLetters += letters;
      add(counters.deadLettersByCode, code, letters);
    }
  }
}

function add(totals: Record<string, number>, key: string, amount: number): void {
  totals[key] = (totals[key] ?? 0) + amount;
}
