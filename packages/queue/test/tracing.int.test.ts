import { context, propagation, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import { createMemoryLogger, waitFor } from "@millrace/core/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { type Fixture, openFixture } from "./support/fixture.ts";

describe("a task", () => {
  const exporter = new InMemorySpanExporter();
  let fixture: Fixture;
  beforeAll(async () => {
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
    propagation.setGlobalPropagator(new W3CTraceContextPropagator());
    trace.setGlobalTracerProvider(
      new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }),
    );
    fixture = await openFixture({ input: z.object({}), output: z.number() });
  });
  afterAll(async () => {
    await fixture.close();
    trace.disable();
    context.disable();
    propagation.disable();
  });

  it("is one trace from the request that adds it to its end, and its log lines name it", async () => {
    const logger = createMemoryLogger();
    const worker = await fixture.worker({
      logger,
      handler: (_, context_) => {
        context_.logger.info("working");
        return Promise.resolve(1);
      },
    });
    const tracer = trace.getTracer("test");
    const { taskId } = await tracer.startActiveSpan("request", async (span) => {
      const added = await fixture.queue.add({
        tenantId: "acme",
        data: {},
        labels: { campaignId: "c1" },
      });
      span.end();
      return added;
    });
    await waitFor(() => worker.status().completed === 1);
    const spans = await waitFor(() => {
      const all = exporter.getFinishedSpans();
      return all.some(({ name }) => name === "millrace.task") ? all : undefined;
    });
    const traceIds = new Set(spans.map((span) => span.spanContext().traceId));
    expect(traceIds.size).toBe(1);
    expect(spans.map(({ name }) => name)).toEqual(
      expect.arrayContaining([
        "request",
        "millrace.enqueue",
        "millrace.task",
        "millrace.validate_input",
        "millrace.validate_output",
      ]),
    );
    const line = logger.lines.find(({ message }) => message === "working");
    expect(line?.fields).toMatchObject({
      tenantId: "acme",
      taskId,
      agentRole: "copywriter",
      campaignId: "c1",
      traceId: [...traceIds][0],
    });
  });
});
