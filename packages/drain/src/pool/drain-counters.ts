import type { WorkerMessage } from "../messages.ts";

/** What a pool has done since it was created. */
export interface DrainCounters {
  batches: number;
  /** Batches that an earlier try had landed already. */
  batchesFoundLanded: number;
  payloads: number;
  /** Payloads that became dead letters as a whole; they count among `payloads`. */
  deadPayloads: number;
  records: number;
  recordsByTable: Record<string, number>;
  deadLetters: number;
  deadLettersByCode: Record<string, number>;
  retriesByReason: Record<string, number>;
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
