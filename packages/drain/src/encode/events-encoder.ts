import { EVENTS_TABLE } from "../schema/events-table.ts";
import { type CompiledTable, copyStatement } from "./compiled-table.ts";
import { COPY_NULL, copyText } from "./copy-text.ts";
import { jsonProblem } from "./json-text.ts";
import { metaEncoder } from "./record-meta.ts";
import { RecordRefused } from "./record-refused.ts";
import { timestampText } from "./timestamp-text.ts";

/** Compiles the encoder for records whose type nothing else takes: they are kept whole. */
export function compileEventsTable(): CompiledTable {
  const encodeMeta = metaEncoder();
  return {
    name: EVENTS_TABLE,
    copySql: copyStatement(EVENTS_TABLE, ["type", "occurred_at", "received_at", "token", "record"]),
    encode(record, meta) {
      const problem = jsonProblem(record);
      if (problem !== undefined) throw new RecordRefused(problem);
      const { t, timestamp } = record;
      const type = typeof t === "string" ? copyText(t) : COPY_NULL;
      const occurredAt =
        (typeof timestamp === "number" ? timestampText(timestamp) : undefined) ?? COPY_NULL;
      return `${type}\t${occurredAt}\t${encodeMeta(meta)}\t${copyText(JSON.stringify(record))}\n`;
    },
  };
}
