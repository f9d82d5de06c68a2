import { readFileSync } from "node:fs";

export const RECORD_TYPES = [
  "request",
  "command",
  "job-attempt",
  "queued-job",
  "scheduled-task",
  "query",
  "exception",
  "cache-event",
  "mail",
  "notification",
  "outgoing-request",
  "log",
  "user",
] as const;

export type RecordType = (typeof RECORD_TYPES)[number];

/** 71 records of all types, byte for byte as a Laravel application's client encoded them. */
export function readRecords(): string[] {
  const file = new URL("../data/nightwatch-records.ndjson", import.meta.url);
  return readFileSync(file, "utf8").trimEnd().split("\n");
}
