import type { AuditedBuffer, AuditedHour, AuditReport } from "../audit-report.ts";

/** One line an hour, and one below it for each thing that differs. */
export function linesOf({ hours, files, isComplete }: AuditReport): string[] {
  return [
    ...hours.flatMap(hourLines),
    ...files
      .filter(({ droppedRows, lostRows }) => droppedRows + lostRows > 0)
      .map(
        ({ path, droppedRows, lostRows }) =>
          `${path}: since it was made ${droppedRows} payloads were dropped to make room, ${lostRows} lost to damage`,
      ),
    hours.length === 0
      ? "nothing was accepted"
      : isComplete
        ? "everything is accounted for"
        : "NOT everything is accounted for",
  ];
}

function hourLines({ hour, buffers, tables, deadLetters }: AuditedHour): string[] {
  const sum = (read: (buffer: AuditedBuffer) => number) =>
    buffers.reduce((total, buffer) => total + read(buffer), 0);
  const records = tables.reduce((total, { landed }) => total + landed, 0);
  const differences = [
    ...buffers
      .filter(({ unaccounted }) => unaccounted !== 0)
      .map(({ bufferId, unaccounted, buffered }) => {
        const file = buffered === undefined ? " (its file was not read)" : "";
        return `buffer ${bufferId}: ${unaccounted} payloads are unaccounted for${file}`;
      }),
    ...tables
      .filter(({ missing }) => missing !== 0)
      .map(({ table, landed, found, missing }) => {
        const what = missing > 0 ? `${missing} missing` : `${-missing} too many`;
        return `${table}: ${landed} landed, ${found} found: ${what}`;
      }),
  ];
  const { written, replayed, discarded, found, missing } = deadLetters;
  if (missing !== 0) {
    differences.push(
      `dead letters: ${written} written, ${replayed} replayed, ${discarded} discarded, ${found} found`,
    );
  }
  return [
    `${hour.toISOString()} ${sum(({ accepted }) => accepted)} payloads: ${sum(({ landed }) => landed)} landed with ${records} records, ${sum(({ buffered }) => buffered ?? 0)} buffered; ${found} dead letters, ${discarded} discarded`,
    ...differences.map((line) => `  ${line}`),
  ];
}
