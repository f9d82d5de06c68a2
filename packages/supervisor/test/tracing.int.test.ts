import { context, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startSupervisor } from "./fixtures/start-supervisor.ts";

const exporter = new InMemorySpanExporter();

beforeAll(() => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  trace.setGlobalTracerProvider(
    new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }),
  );
});

afterAll(() => {
  trace.disable();
  context.disable();
});

test("a rollout is one trace under its caller's span, with the starts and stops of its instances", async () => {
  const supervisor = await startSupervisor({
    processes: { web: { command: ["sleep", "1000"], scale: 2 } },
  });
  exporter.reset();
  const tracer = trace.getTracer("test");
  const traceId = await tracer.startActiveSpan("deploy", async (span) => {
    await supervisor.rollout("web", { env: { RELEASE: "2" } }).done;
    span.end();
    return span.spanContext().traceId;
  });
  const spans = exporter.getFinishedSpans();
  expect(spans.map(({ name }) => name).toSorted()).toEqual([
    "deploy",
    "rollout web",
    "start web-1",
    "start web-2",
    "stop web-1",
    "stop web-2",
  ]);
  expect(new Set(spans.map((span) => span.spanContext().traceId))).toEqual(new Set([traceId]));
  const rollout = spans.find(({ name }) => name === "rollout web");
  expect(rollout?.attributes).toMatchObject({
    "millrace.process": "web",
    "millrace.operation.state": "succeeded",
  });
  const below = spans.filter(({ name }) => name.startsWith("st"));
  expect(below.map(({ parentSpanContext }) => parentSpanContext?.spanId)).toEqual(
    below.map(() => rollout?.spanContext().spanId),
  );
});

test("a rollout that fails says so in its span", async () => {
  const supervisor = await startSupervisor({
    processes: { web: { command: ["sleep", "1000"], backoff: { baseMs: 1, capMs: 1 } } },
  });
  exporter.reset();
  await supervisor.rollout("web", { command: ["/does/not/exist"] }).done;
  const rollout = exporter.getFinishedSpans().find(({ name }) => name === "rollout web");
  expect(rollout?.attributes["error.type"]).toBe("SUPERVISOR_ROLLED_BACK");
});
