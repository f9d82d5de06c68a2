import { readRecords } from "@millrace/load";

/** A record as the client sent it. */
export type Sample = Record<string, unknown> & { t: string; timestamp: number };

/** 71 records of all 13 types, captured from the wire. */
export function readSamples(): Sample[] {
  return readRecords().map((line) => JSON.parse(line) as Sample);
}
