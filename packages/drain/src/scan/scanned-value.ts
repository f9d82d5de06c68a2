import { VALUE_KINDS } from "./record-scanner.ts";

/** What JSON.parse makes of a value that was scanned; undefined for a field that is not there. */
export function scannedValue(bytes: Buffer, kind: number, start: number, end: number): unknown {
  switch (kind) {
    case VALUE_KINDS.string:
      return bytes.toString("utf8", start, end);
    case VALUE_KINDS.escapedString:
      // With its quotes.
      return JSON.parse(bytes.toString("utf8", start - 1, end + 1));
    case VALUE_KINDS.integer:
    case VALUE_KINDS.number:
      return Number(bytes.toString("latin1", start, end));
    case VALUE_KINDS.stringArray:
      return JSON.parse(bytes.toString("utf8", start, end));
    case VALUE_KINDS.true:
      return true;
    case VALUE_KINDS.false:
      return false;
    case VALUE_KINDS.null:
      return null;
    default:
      return undefined;
  }
}
