import { createRandom } from "./random.ts";
import { readRecords } from "./records.ts";

/** One payload of made-up traffic. */
export interface TrafficPayload {
  body: Buffer;
  /** The mark of each of its records, unique within the run. */
  marks: string[];
}

export interface Traffic {
  next(): TrafficPayload;
}

export interface TrafficOptions {
  /** Same seed, same traffic. */
  seed: number;
  /** Starts each mark; at most 200 characters of `[a-z0-9-]`. */
  run: string;
  /** Records in one payload at most. @default 8 */
  maxRecords?: number | undefined;
  /** Which record types to send. @default all but `user`, which carries no mark */
  types?: readonly string[] | undefined;
}

/**
 * Endless traffic out of real records: each keeps its bytes but for `deploy`, which becomes its
 * mark, `timestamp`, which becomes now, and `trace_id`, which the records of one payload share.
 */
export function createTraffic(options: TrafficOptions): Traffic {
  const random = createRandom(options.seed);
  const maxRecords = options.maxRecords ?? 8;
  const templates = readRecords().filter((text) => {
    const { t } = JSON.parse(text) as { t: string };
    return options.types === undefined ? t !== "user" : options.types.includes(t);
  });
  let sequence = 0;
  return {
    next() {
      const size = 1 + Math.floor(random() * maxRecords);
      const traceId = randomUuid(random);
      const marks: string[] = [];
      const records: string[] = [];
      for (let index = 0; index < size; index++) {
        const template = templates[Math.floor(random() * templates.length)] ?? "";
        const mark = `${options.run}-${sequence++}`;
        marks.push(mark);
        records.push(
          template
            .replace(
              /"timestamp":[\d.]+/,
              () =>
                `"timestamp":${((performance.timeOrigin + performance.now()) / 1_000).toFixed(6)}`,
            )
            .replace(/"deploy":"[^"]*"/, () => `"deploy":"${mark}"`)
            .replace(/"trace_id":"[^"]*"/, () => `"trace_id":"${traceId}"`),
        );
      }
      return { body: Buffer.from(`[${records.join(",")}]`), marks };
    },
  };
}

function randomUuid(random: () => number): string {
  const hex = (length: number) =>
    Array.from({ length }, () => Math.floor(random() * 16).toString(16)).join("");
  return `${hex(8)}-${hex(4)}-4${hex(3)}-a${hex(3)}-${hex(12)}`;
}
