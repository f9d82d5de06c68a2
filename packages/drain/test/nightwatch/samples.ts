import { readFileSync } from "node:fs";

/** A record as the client sent it. */
export type Sample = Record<string, unknown> & { t: string; timestamp: number };

/** 71 records of all 13 types, captured from the wire. */
export function readSamples(): Sample[] {
  const file = new URL("../data/nightwatch-samples.ndjson", import.meta.url);
  const lines = readFileSync(file, "utf8").trimEnd().split("\n");
  return lines.map((line) => JSON.parse(line) as Sample);
}
