import type { BufferedRun } from "@millrace/core/buffer";
import type { AuditedBuffer } from "./audit-report.ts";

/** Payloads of one buffer and hour that have landed. */
export interface LandedHour {
  /** Start of the hour, in Unix milliseconds. */
  hour: number;
  payloads: number;
  firstId: number;
  lastId: number;
}

export interface BufferHistory {
  landed: readonly LandedHour[];
  /** What has landed before and after those hours: the id that is next to them; undefined for nothing. */
  lastIdBefore: number | undefined;
  firstIdAfter: number | undefined;
  /** All that is in its file and has not landed; undefined when that was not read. */
  buffered: readonly BufferedRun[] | undefined;
}

interface IdSpan {
  hour: number;
  firstId: number;
  lastId: number;
  landed: number;
  buffered: number;
}

/**
 * What became of each hour's payloads. Ids rise with time and are given out once, so the hour has
 * those from its first to the first of the next hour, whatever has become of them. A gap between two
 * hours counts to the earlier one, and before the first hour to that one.
 */
export function accountFor(
  bufferId: string,
  { landed, buffered, lastIdBefore, firstIdAfter }: BufferHistory,
  range: { from: number; to: number },
): Map<number, AuditedBuffer> {
  const spans = new Map<number, IdSpan>();
  for (const { hour, payloads, firstId, lastId } of landed) {
    spans.set(hour, { hour, firstId, lastId, landed: payloads, buffered: 0 });
  }
  let before = lastIdBefore;
  let after = firstIdAfter;
  for (const { hour, firstId, lastId } of buffered ?? []) {
    if (hour < range.from) before = Math.max(before ?? lastId, lastId);
    else if (hour >= range.to) after = Math.min(after ?? firstId, firstId);
    else addBuffered(spans, { hour, firstId, lastId });
  }
  const inOrder = [...spans.values()].toSorted((left, right) => left.firstId - right.firstId);
  if (inOrder.length === 0 && before !== undefined && after !== undefined && after > before + 1) {
    const hour = range.from;
    inOrder.push({ hour, firstId: before + 1, lastId: before, landed: 0, buffered: 0 });
  }
  return new Map(
    inOrder.map((span, index) => {
      const start =
        index === 0 ? Math.min(span.firstId, (before ?? span.firstId) + 1) : span.firstId;
      const end = span.lastId + 1;
      const next = inOrder[index + 1]?.firstId ?? Math.max(end, after ?? end);
      const accepted = next - start;
      const account: AuditedBuffer = {
        bufferId,
        accepted,
        landed: span.landed,
        buffered: buffered === undefined ? undefined : span.buffered,
        unaccounted: accepted - span.landed - span.buffered,
      };
      return [span.hour, account];
    }),
  );
}

function addBuffered(spans: Map<number, IdSpan>, { hour, firstId, lastId }: BufferedRun): void {
  const rows = lastId - firstId + 1;
  const span = spans.get(hour);
  if (span === undefined) {
    spans.set(hour, { hour, firstId, lastId, landed: 0, buffered: rows });
    return;
  }
  span.firstId = Math.min(span.firstId, firstId);
  span.lastId = Math.max(span.lastId, lastId);
  span.buffered += rows;
}

/** What of `runs` no range of `landed` covers: a file may still hold what has landed. */
export function withoutLanded(
  runs: readonly BufferedRun[],
  landed: ReadonlyArray<{ firstId: number; lastId: number }>,
): BufferedRun[] {
  const ranges = landed.toSorted((left, right) => left.firstId - right.firstId);
  return runs.flatMap(({ hour, firstId, lastId }) => {
    const rest: BufferedRun[] = [];
    let start = firstId;
    for (const range of ranges) {
      if (range.lastId < start || range.firstId > lastId) continue;
      if (range.firstId > start) rest.push({ hour, firstId: start, lastId: range.firstId - 1 });
      start = range.lastId + 1;
    }
    if (start <= lastId) rest.push({ hour, firstId: start, lastId });
    return rest;
  });
}
