import {
  context,
  propagation,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from "@opentelemetry/api";
import { messageOf } from "@millrace/core";

const tracer = () => trace.getTracer("@millrace/queue");

/** W3C trace context of the active span, or undefined without a tracing SDK. */
export function currentTraceparent(): string | undefined {
  const carrier: { traceparent?: string } = {};
  propagation.inject(context.active(), carrier);
  return carrier.traceparent;
}

/** Runs `work` in a span of its own, under the active one or under `parent` (a traceparent). */
export function inSpan<Result>(
  name: string,
  attributes: Record<string, string | number>,
  work: (span: Span) => Promise<Result>,
  { parent, kind = SpanKind.INTERNAL }: { parent?: string | undefined; kind?: SpanKind } = {},
): Promise<Result> {
  const active = context.active();
  const under =
    parent === undefined ? active : propagation.extract(active, { traceparent: parent });
  return tracer().startActiveSpan(name, { attributes, kind }, under, async (span) => {
    try {
      return await work(span);
    } catch (error) {
      span.setStatus({ code: SpanStatusCode.ERROR, message: messageOf(error) });
      throw error;
    } finally {
      span.end();
    }
  });
}

/** The trace id in a traceparent. */
export function traceIdOf(traceparent: string | undefined): string | undefined {
  return traceparent?.split("-")[1];
}

export { SpanKind };
