import { readRecords } from "./records.ts";

/** Records between these lengths have 820 bytes on average. */
const MIN_RECORD_BYTES = 640;
const MAX_RECORD_BYTES = 1_200;
const SEQUENCE_DIGITS = 9;
const DIGIT_ZERO = 0x30;
const HEX_DIGITS = Buffer.from("0123456789abcdef");

export interface PayloadStamperOptions {
  /** Starts each mark; characters that JSON does not escape. */
  run: string;
  /** Makes frames for this token instead of bare payloads. @default bare payloads */
  tokenHash?: string | undefined;
}

/** Makes payloads of one real record of some 800 bytes, each unlike all others, at next to no cost. */
export interface PayloadStamper {
  /** What {@link PayloadStamper.write} writes at most. */
  readonly maxBytes: number;
  /** Payloads made; the next one has this number in its mark. */
  readonly made: number;
  /** Writes the next payload or frame into `target` from `offset` on. @returns where it ends. */
  write(target: Buffer, offset: number): number;
  /** The next payload or frame in memory of its own. */
  next(): Buffer;
}

/**
 * Copies real records and stamps what must differ over them: `deploy` becomes `<run>-<number>`, the
 * first 8 characters of `trace_id` and the microseconds of `timestamp` follow from the number.
 *
 * Same run, same payloads, but for the second in which the stamper was created.
 */
export function createPayloadStamper(options: PayloadStamperOptions): PayloadStamper {
  const templates = readRecords()
    .filter(({ length }) => length >= MIN_RECORD_BYTES && length <= MAX_RECORD_BYTES)
    .map((record) => createTemplate(record, options));
  const maxBytes = Math.max(...templates.map(({ bytes }) => bytes.length));
  let made = 0;
  const write = (target: Buffer, offset: number): number => {
    const template = templates[made % templates.length];
    if (template === undefined) throw new Error("there are no records of 800 bytes to send");
    target.set(template.bytes, offset);
    stampDecimal(target, offset + template.markAt, made, SEQUENCE_DIGITS);
    stampDecimal(target, offset + template.microsecondsAt, made, 6);
    stampHex(target, offset + template.traceIdAt, Math.imul(made, 0x9e3779b1));
    made++;
    return offset + template.bytes.length;
  };
  return {
    maxBytes,
    get made() {
      return made;
    },
    write,
    next() {
      const target = Buffer.allocUnsafe(maxBytes);
      return target.subarray(0, write(target, 0));
    },
  };
}

interface Template {
  bytes: Buffer;
  /** Where the number in the mark starts, and so on. */
  markAt: number;
  microsecondsAt: number;
  traceIdAt: number;
}

function createTemplate(record: string, { run, tokenHash }: PayloadStamperOptions): Template {
  const seconds = String(Math.floor(Date.now() / 1_000));
  const payload = Buffer.from(
    `[${record
      .replace(/"timestamp":[\d.]+/, () => `"timestamp":${seconds}.000000`)
      .replace(/"deploy":"[^"]*"/, () => `"deploy":"${run}-${"0".repeat(SEQUENCE_DIGITS)}"`)}]`,
  );
  const header = tokenHash === undefined ? "" : `v1:${tokenHash}:`;
  const length = tokenHash === undefined ? "" : `${header.length + payload.length}:`;
  const bytes = Buffer.concat([Buffer.from(length + header), payload]);
  const after = (text: string) => {
    const at = bytes.indexOf(text);
    if (at === -1) throw new Error(`a record has no ${text}`);
    return at + text.length;
  };
  return {
    bytes,
    markAt: after(`"deploy":"${run}-`),
    microsecondsAt: after(`"timestamp":${seconds}.`),
    traceIdAt: after('"trace_id":"'),
  };
}

function stampDecimal(target: Buffer, offset: number, value: number, digits: number): void {
  let rest = value;
  for (let at = offset + digits - 1; at >= offset; at--) {
    target[at] = DIGIT_ZERO + (rest % 10);
    rest = Math.floor(rest / 10);
  }
}

function stampHex(target: Buffer, offset: number, value: number): void {
  for (let digit = 0; digit < 8; digit++) {
    target[offset + digit] = HEX_DIGITS[(value >>> (digit * 4)) & 0xf] ?? DIGIT_ZERO;
  }
}
