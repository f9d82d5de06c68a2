import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createBuffer, type DurableBuffer } from "@millrace/core/buffer";
import { createMemoryLogger, waitFor } from "@millrace/core/testing";
import { combineSchemas, createDrainPool, type DrainPool, postgres } from "@millrace/drain";
import { nightwatch } from "@millrace/drain/nightwatch";
import { otel } from "@millrace/drain/otel";
import { createIngestServer, type IngestServer } from "@millrace/ingest";
import { SpanKind, SpanStatusCode, TraceFlags } from "@opentelemetry/api";
import { SeverityNumber } from "@opentelemetry/api-logs";
import { OTLPLogExporter as JsonLogExporter } from "@opentelemetry/exporter-logs-otlp-http";
import { OTLPLogExporter as ProtoLogExporter } from "@opentelemetry/exporter-logs-otlp-proto";
import { OTLPTraceExporter as JsonTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { OTLPTraceExporter as ProtoTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import {
  InMemoryLogRecordExporter,
  LoggerProvider,
  SimpleLogRecordProcessor,
} from "@opentelemetry/sdk-logs";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import { Registry } from "prom-client";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../setup/database.ts";

let database: TestDatabase;
let folder: string;
let buffer: DurableBuffer;
let pool: DrainPool;
let ingest: IngestServer;
let base: string;

beforeAll(async () => {
  database = await createTestDatabase();
  folder = mkdtempSync(join(tmpdir(), "millrace-otlp-"));
  const common = { logger: createMemoryLogger(), metrics: new Registry() };
  buffer = createBuffer({ path: join(folder, "buffer.db"), ...common });
  pool = createDrainPool({
    buffer,
    destination: postgres({ connectionString: database.url }),
    schema: combineSchemas(nightwatch(), otel({ retain: "30 days" })),
    workers: 1,
    batchWaitMs: 20,
    ...common,
  });
  ingest = createIngestServer({
    buffer,
    port: 0,
    http: { port: 0 },
    tokens: [
      { name: "json", token: "json-token" },
      { name: "proto", token: "proto-token" },
    ],
    ...common,
  });
  await buffer.start();
  await pool.start();
  await ingest.start();
  base = `http://127.0.0.1:${ingest.httpAddress().port}`;
});

afterAll(async () => {
  await ingest.close({ graceMs: 0 });
  await pool.close({ graceMs: 0 });
  await buffer.close();
  await database.drop();
  rmSync(folder, { recursive: true, force: true });
});

async function drained(): Promise<void> {
  await waitFor(() => buffer.status().rows === 0, {
    timeoutMs: 20_000,
    description: "empty buffer",
  });
}

/** Waits for an exporter's answer. */
function exported<Item>(
  exporter: {
    export(items: Item[], done: (result: { code: number; error?: Error }) => void): void;
  },
  items: Item[],
): Promise<void> {
  return new Promise((resolve, reject) => {
    exporter.export(items, ({ code, error }) =>
      code === 0 ? resolve() : reject(error ?? new Error("the export failed")),
    );
  });
}

function headersOf(name: "json" | "proto") {
  return { authorization: `Bearer ${name}-token` };
}

const NOW_SECONDS = Math.floor(Date.now() / 1_000);
const resource = resourceFromAttributes({ "service.name": "shop", replicas: 3, tags: ["a", "b"] });

test("logs and spans of the OpenTelemetry exporters land in the same rows from JSON and protobuf", async () => {
  const memoryLogs = new InMemoryLogRecordExporter();
  const logs = new LoggerProvider({
    resource,
    processors: [new SimpleLogRecordProcessor({ exporter: memoryLogs })],
  });
  const logger = logs.getLogger("checkout", "1.2.3");
  logger.emit({
    timestamp: [NOW_SECONDS, 123_456_789],
    observedTimestamp: [NOW_SECONDS, 987_654_321],
    severityNumber: SeverityNumber.ERROR,
    severityText: "ERROR",
    body: { message: "no such card é", nested: [1, 2.5, true, { deep: "yes" }] },
    attributes: { "http.status": 402, ratio: 0.25, ok: false, list: ["x", "y"] },
  });
  logger.emit({ timestamp: [NOW_SECONDS, 1], body: "plain" });
  const memorySpans = new InMemorySpanExporter();
  const traces = new BasicTracerProvider({
    resource,
    spanProcessors: [new SimpleSpanProcessor(memorySpans)],
  });
  const span = traces.getTracer("checkout").startSpan("charge", {
    kind: SpanKind.CLIENT,
    startTime: [NOW_SECONDS, 999_999_999],
    attributes: { card: "visa" },
    links: [
      {
        context: {
          traceId: "a".repeat(32),
          spanId: "b".repeat(16),
          traceFlags: TraceFlags.SAMPLED,
        },
      },
    ],
  });
  span.addEvent("declined", { reason: "limit" }, [NOW_SECONDS + 1, 5]);
  span.setStatus({ code: SpanStatusCode.ERROR, message: "declined" });
  span.end([NOW_SECONDS + 1, 1_000_001]);

  const logRecords = memoryLogs.getFinishedLogRecords();
  const spans = memorySpans.getFinishedSpans();
  await exported(
    new JsonLogExporter({ url: `${base}/v1/logs`, headers: headersOf("json") }),
    logRecords,
  );
  await exported(
    new ProtoLogExporter({ url: `${base}/v1/logs`, headers: headersOf("proto") }),
    logRecords,
  );
  await exported(
    new JsonTraceExporter({ url: `${base}/v1/traces`, headers: headersOf("json") }),
    spans,
  );
  await exported(
    new ProtoTraceExporter({ url: `${base}/v1/traces`, headers: headersOf("proto") }),
    spans,
  );
  await drained();

  for (const table of ["otel_logs", "otel_spans"]) {
    const rows = await database.query<{ token: string; row: Record<string, unknown> }>(
      `SELECT token, to_jsonb(t) - 'token' - 'received_at' AS row FROM ${table} AS t ORDER BY occurred_at DESC`,
    );
    const ofToken = (name: string) =>
      rows.filter(({ token }) => token === name).map(({ row }) => row);
    expect(ofToken("json")).toHaveLength(table === "otel_logs" ? 2 : 1);
    expect(ofToken("proto")).toEqual(ofToken("json"));
  }
  const [log] = await database.query(
    `SELECT *, extract(epoch FROM occurred_at)::text AS at FROM otel_logs ORDER BY occurred_at DESC`,
  );
  expect(log).toMatchObject({
    at: `${NOW_SECONDS}.123456`,
    severity_number: 17,
    severity_text: "ERROR",
    body: { message: "no such card é", nested: [1, 2.5, true, { deep: "yes" }] },
    attributes: { "http.status": 402, ratio: 0.25, ok: false, list: ["x", "y"] },
    service_name: "shop",
    resource: { "service.name": "shop", replicas: 3, tags: ["a", "b"] },
    scope: { name: "checkout", version: "1.2.3" },
    unknown_fields: null,
  });
  const [landed] = await database.query(
    "SELECT *, extract(epoch FROM occurred_at)::text AS at FROM otel_spans",
  );
  expect(landed).toMatchObject({
    at: `${NOW_SECONDS}.999999`,
    duration_ns: "1000002",
    trace_id: span.spanContext().traceId,
    span_id: span.spanContext().spanId,
    parent_span_id: null,
    name: "charge",
    kind: 3,
    status_code: 2,
    status_message: "declined",
    attributes: { card: "visa" },
    events: [
      {
        name: "declined",
        attributes: { reason: "limit" },
        time_unix_nano: `${NOW_SECONDS + 1}000000005`,
      },
    ],
    links: [{ trace_id: "a".repeat(32), span_id: "b".repeat(16) }],
    unknown_fields: null,
  });
});

test("what is no OTLP ends as a dead letter, and what comes after it lands", async () => {
  const send = async (path: string, type: string, body: string | Uint8Array<ArrayBuffer>) => {
    const response = await fetch(`${base}${path}`, {
      method: "POST",
      headers: { ...headersOf("json"), "content-type": type },
      body,
    });
    expect(response.status).toBe(path === "/v1/ingest" ? 202 : 200);
  };
  const span = {
    traceId: "C".repeat(32),
    spanId: "d".repeat(16),
    startTimeUnixNano: `${NOW_SECONDS}000000000`,
  };
  const request = (...spans: unknown[]) =>
    JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans }] }] });
  await send("/v1/logs", "application/x-protobuf", new Uint8Array([0xff, 0xff, 0xff, 0x01]));
  await send("/v1/traces", "application/json", "{ nonsense");
  await send("/v1/traces", "application/json", '{"resourceSpans":7}');
  await send(
    "/v1/ingest",
    "application/x-ndjson",
    '{"t":"log","timestamp":1}\n{broken\n{"t":"odd"}\n',
  );
  await send(
    "/v1/traces",
    "application/json",
    request({ ...span, traceId: "zz" }, { ...span, name: "good" }),
  );
  await drained();
  const letters = await database.query<{ code: string; record_index: number | null }>(
    "SELECT code, record_index FROM millrace_dead_letters ORDER BY id",
  );
  expect(letters.map(({ code }) => code).toSorted()).toEqual([
    "json_invalid",
    "otlp_invalid",
    "protobuf_invalid",
    "record_invalid",
    "record_invalid",
  ]);
  expect(await database.query("SELECT trace_id FROM otel_spans WHERE name = 'good'")).toEqual([
    { trace_id: "c".repeat(32) },
  ]);
  expect(await database.query("SELECT record FROM millrace_events")).toEqual([
    { record: { t: "odd" } },
  ]);
});
