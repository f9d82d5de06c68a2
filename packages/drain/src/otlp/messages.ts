import { createRequire } from "node:module";
import type protobuf from "protobufjs/light.js";

const require = createRequire(import.meta.url);

/** Fields by name: type, number, and whether there may be several. */
type Fields = Record<string, readonly [type: string, id: number, rule?: "repeated"]>;

/**
 * What of opentelemetry-proto v1 a log or trace export holds. Enums are read as the numbers they are.
 *
 * @see https://github.com/open-telemetry/opentelemetry-proto/tree/main/opentelemetry/proto
 */
const MESSAGES: Record<string, Fields> = {
  ExportLogsServiceRequest: { resourceLogs: ["ResourceLogs", 1, "repeated"] },
  ResourceLogs: {
    resource: ["Resource", 1],
    scopeLogs: ["ScopeLogs", 2, "repeated"],
    schemaUrl: ["string", 3],
  },
  ScopeLogs: {
    scope: ["InstrumentationScope", 1],
    logRecords: ["LogRecord", 2, "repeated"],
    schemaUrl: ["string", 3],
  },
  LogRecord: {
    timeUnixNano: ["fixed64", 1],
    severityNumber: ["int32", 2],
    severityText: ["string", 3],
    body: ["AnyValue", 5],
    attributes: ["KeyValue", 6, "repeated"],
    droppedAttributesCount: ["uint32", 7],
    flags: ["fixed32", 8],
    traceId: ["bytes", 9],
    spanId: ["bytes", 10],
    observedTimeUnixNano: ["fixed64", 11],
    eventName: ["string", 12],
  },
  ExportTraceServiceRequest: { resourceSpans: ["ResourceSpans", 1, "repeated"] },
  ResourceSpans: {
    resource: ["Resource", 1],
    scopeSpans: ["ScopeSpans", 2, "repeated"],
    schemaUrl: ["string", 3],
  },
  ScopeSpans: {
    scope: ["InstrumentationScope", 1],
    spans: ["Span", 2, "repeated"],
    schemaUrl: ["string", 3],
  },
  Span: {
    traceId: ["bytes", 1],
    spanId: ["bytes", 2],
    traceState: ["string", 3],
    parentSpanId: ["bytes", 4],
    name: ["string", 5],
    kind: ["int32", 6],
    startTimeUnixNano: ["fixed64", 7],
    endTimeUnixNano: ["fixed64", 8],
    attributes: ["KeyValue", 9, "repeated"],
    droppedAttributesCount: ["uint32", 10],
    events: ["Event", 11, "repeated"],
    droppedEventsCount: ["uint32", 12],
    links: ["Link", 13, "repeated"],
    droppedLinksCount: ["uint32", 14],
    status: ["Status", 15],
    flags: ["fixed32", 16],
  },
  Event: {
    timeUnixNano: ["fixed64", 1],
    name: ["string", 2],
    attributes: ["KeyValue", 3, "repeated"],
    droppedAttributesCount: ["uint32", 4],
  },
  Link: {
    traceId: ["bytes", 1],
    spanId: ["bytes", 2],
    traceState: ["string", 3],
    attributes: ["KeyValue", 4, "repeated"],
    droppedAttributesCount: ["uint32", 5],
    flags: ["fixed32", 6],
  },
  Status: { message: ["string", 2], code: ["int32", 3] },
  Resource: { attributes: ["KeyValue", 1, "repeated"], droppedAttributesCount: ["uint32", 2] },
  InstrumentationScope: {
    name: ["string", 1],
    version: ["string", 2],
    attributes: ["KeyValue", 3, "repeated"],
    droppedAttributesCount: ["uint32", 4],
  },
  KeyValue: { key: ["string", 1], value: ["AnyValue", 2] },
  ArrayValue: { values: ["AnyValue", 1, "repeated"] },
  KeyValueList: { values: ["KeyValue", 1, "repeated"] },
  AnyValue: {
    stringValue: ["string", 1],
    boolValue: ["bool", 2],
    intValue: ["int64", 3],
    doubleValue: ["double", 4],
    arrayValue: ["ArrayValue", 5],
    kvlistValue: ["KeyValueList", 6],
    bytesValue: ["bytes", 7],
  },
};

const ONEOFS: Record<string, { value: { oneof: string[] } }> = {
  AnyValue: { value: { oneof: Object.keys(MESSAGES["AnyValue"] ?? {}) } },
};

let root: protobuf.Root | undefined;

/** An export request in protobuf, in the shape that its JSON encoding has; ids and bytes as Buffers. */
export function decodeRequest(
  message: "ExportLogsServiceRequest" | "ExportTraceServiceRequest",
  bytes: Uint8Array,
): unknown {
  root ??= loadRoot();
  const type = root.lookupType(message);
  // 64-bit numbers as text: a double would round them.
  return type.toObject(type.decode(bytes), { longs: String });
}

/** Loaded with the first message: most processes, and each of their threads, never see one. */
function loadRoot(): protobuf.Root {
  const { Root } = require("protobufjs/light.js") as typeof protobuf;
  return Root.fromJSON({
    nested: Object.fromEntries(
      Object.entries(MESSAGES).map(([name, fields]) => [name, messageOf(name, fields)]),
    ),
  });
}

function messageOf(name: string, fields: Fields): protobuf.IType {
  const oneofs = ONEOFS[name];
  return {
    ...(oneofs !== undefined && { oneofs }),
    fields: Object.fromEntries(
      Object.entries(fields).map(([field, [type, id, rule]]) => [
        field,
        { type, id, ...(rule !== undefined && { rule }) },
      ]),
    ),
  };
}
