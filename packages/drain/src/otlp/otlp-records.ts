import type { OtlpKind } from "@millrace/core";
import { RecordRefused, showValue } from "../encode/record-refused.ts";
import { attributes, type Message, message, messages, plain } from "./any-value.ts";

/** Values of `t` in the records that exports become. */
export const OTEL_LOG = "otel-log";
export const OTEL_SPAN = "otel-span";

/** Makes a record when it is called; what is wrong with one must not harm its neighbours. */
export type RecordMaker = () => Record<string, unknown>;

/**
 * The records of an export request.
 *
 * @param receivedAt - Unix milliseconds, for logs that say no time of their own.
 */
export function* otlpRecords(
  kind: OtlpKind,
  request: unknown,
  receivedAt: number,
): Generator<RecordMaker> {
  const isLogs = kind.startsWith("otlp-logs");
  const [ofResource, ofScope, items] = isLogs
    ? (["resourceLogs", "scopeLogs", "logRecords"] as const)
    : (["resourceSpans", "scopeSpans", "spans"] as const);
  for (const resourceGroup of messages(message(request)[ofResource])) {
    const resource = attributes(message(resourceGroup["resource"])["attributes"]);
    for (const group of messages(resourceGroup[ofScope])) {
      const shared = {
        service_name: serviceName(resource),
        resource,
        scope: scopeOf(message(group["scope"])),
        schema_url: optional(group["schemaUrl"]) ?? optional(resourceGroup["schemaUrl"]),
      };
      for (const item of messages(group[items])) {
        yield () => ({ ...(isLogs ? logRecord(item, receivedAt) : spanRecord(item)), ...shared });
      }
    }
  }
}

function logRecord(log: Message, receivedAt: number): Record<string, unknown> {
  const observed = nanoseconds(log["observedTimeUnixNano"]);
  return {
    t: OTEL_LOG,
    timestamp:
      nanoseconds(log["timeUnixNano"]) ?? observed ?? String(BigInt(receivedAt) * 1_000_000n),
    observed_timestamp: observed,
    severity_number: log["severityNumber"] ?? 0,
    severity_text: optional(log["severityText"]),
    event_name: optional(log["eventName"]),
    body: plain(log["body"]),
    trace_id: hex(log["traceId"]),
    span_id: hex(log["spanId"]),
    flags: log["flags"] ?? 0,
    attributes: attributes(log["attributes"]),
    dropped_attributes_count: log["droppedAttributesCount"] ?? 0,
  };
}

function spanRecord(span: Message): Record<string, unknown> {
  const start = nanoseconds(span["startTimeUnixNano"]);
  const end = nanoseconds(span["endTimeUnixNano"]);
  const status = message(span["status"]);
  return {
    t: OTEL_SPAN,
    timestamp: start,
    ended_at: end,
    duration_ns: start === null || end === null ? null : difference(start, end),
    trace_id: hex(span["traceId"]),
    span_id: hex(span["spanId"]),
    parent_span_id: hex(span["parentSpanId"]),
    trace_state: optional(span["traceState"]),
    flags: span["flags"] ?? 0,
    name: span["name"] ?? "",
    kind: span["kind"] ?? 0,
    status_code: status["code"] ?? 0,
    status_message: optional(status["message"]),
    attributes: attributes(span["attributes"]),
    dropped_attributes_count: span["droppedAttributesCount"] ?? 0,
    events: nonEmpty(messages(span["events"]).map(spanEvent)),
    dropped_events_count: span["droppedEventsCount"] ?? 0,
    links: nonEmpty(messages(span["links"]).map(spanLink)),
    dropped_links_count: span["droppedLinksCount"] ?? 0,
  };
}

function spanEvent(event: Message): Record<string, unknown> {
  return {
    time_unix_nano: nanoseconds(event["timeUnixNano"]),
    name: event["name"] ?? "",
    attributes: attributes(event["attributes"]) ?? {},
    dropped_attributes_count: event["droppedAttributesCount"] ?? 0,
  };
}

function spanLink(link: Message): Record<string, unknown> {
  return {
    trace_id: hex(link["traceId"]),
    span_id: hex(link["spanId"]),
    trace_state: optional(link["traceState"]),
    attributes: attributes(link["attributes"]) ?? {},
    dropped_attributes_count: link["droppedAttributesCount"] ?? 0,
    flags: link["flags"] ?? 0,
  };
}

function scopeOf(scope: Message): Record<string, unknown> | null {
  const found = {
    name: optional(scope["name"]),
    version: optional(scope["version"]),
    attributes: attributes(scope["attributes"]),
  };
  return Object.values(found).every((value) => value === null) ? null : found;
}

function serviceName(resource: Record<string, unknown> | null): string | null {
  const name = resource?.["service.name"];
  return typeof name === "string" ? name : null;
}

/** 0 and absent both mean unknown. @throws {@link RecordRefused} for what is no whole number. */
function nanoseconds(value: unknown): string | null {
  if (value === undefined || value === null || value === 0 || value === "0" || value === "") {
    return null;
  }
  const isWhole = typeof value === "string" ? /^\d{1,20}$/.test(value) : Number.isInteger(value);
  if (!isWhole) throw new RecordRefused(`expected Unix nanoseconds, got ${showValue(value)}`);
  return typeof value === "string" ? value : String(BigInt(value as number));
}

/** Null when a double would round it. */
function difference(start: string, end: string): number | null {
  const nanos = Number(BigInt(end) - BigInt(start));
  return Number.isSafeInteger(nanos) ? nanos : null;
}

/** Ids are bytes in protobuf and hex in JSON, in either case. */
function hex(value: unknown): string | null {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex") || null;
  if (value === undefined || value === null || value === "") return null;
  if (typeof value === "string" && /^[0-9a-f]+$/i.test(value)) return value.toLowerCase();
  throw new RecordRefused(`expected a hexadecimal id, got ${showValue(value)}`);
}

/** Protobuf cannot tell an empty string from none. */
function optional(value: unknown): unknown {
  return value === undefined || value === "" ? null : value;
}

function nonEmpty(values: readonly unknown[]): readonly unknown[] | null {
  return values.length === 0 ? null : values;
}
