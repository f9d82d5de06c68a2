import type * as OpenTelemetry from "@opentelemetry/api";
import type { TypedEmitter } from "@millrace/core";
import type { OperationStatus } from "./scaling/operation.ts";
import type { InstanceChange, SupervisorEvents } from "./supervisor-events.ts";

type Api = typeof OpenTelemetry;
type Span = OpenTelemetry.Span;

// Where the API keeps what an SDK has registered: without it there is nobody to trace for.
const REGISTRY = Symbol.for("opentelemetry.js.api.1");

/**
 * Traces operations: one span for each, under the span that was active when it was asked for, with
 * one below it for each start and each stop of an instance. `@opentelemetry/api` is loaded only
 * when an SDK has been registered before `start`.
 */
export class OperationTracing {
  readonly #api: Api;
  readonly #spans = new Map<string, Span>();
  /** By process, the operation that changes its instances: one runs at a time. */
  readonly #running = new Map<string, string>();
  readonly #children = new Map<string, Span>();
  readonly #unsubscribe: Array<() => void>;

  private constructor(api: Api, events: TypedEmitter<SupervisorEvents>) {
    this.#api = api;
    this.#unsubscribe = [
      events.on("operation:changed", (status) => this.#onOperation(status)),
      events.on("instance:changed", (change) => this.#onInstance(change)),
    ];
  }

  /** `undefined` without a registered SDK, or without `@opentelemetry/api`. */
  static async open(events: TypedEmitter<SupervisorEvents>): Promise<OperationTracing | undefined> {
    if (!(REGISTRY in globalThis)) return undefined;
    const api = await import("@opentelemetry/api").catch(() => undefined);
    return api === undefined ? undefined : new OperationTracing(api, events);
  }

  close(): void {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    for (const span of [...this.#children.values(), ...this.#spans.values()]) span.end();
    this.#children.clear();
    this.#spans.clear();
  }

  #onOperation(status: OperationStatus): void {
    let span = this.#spans.get(status.id);
    // One that was superseded before it began has done nothing worth a span.
    if (span === undefined && status.state !== "running") return;
    if (span === undefined) {
      span = this.#begin(status);
      this.#spans.set(status.id, span);
      this.#running.set(status.process, status.id);
    }
    if (status.message !== "") span.addEvent(status.message);
    if (status.endedAt === undefined) return;
    span.setAttribute("millrace.operation.state", status.state);
    if (status.error !== undefined) {
      const { code, message } = status.error;
      span.setAttribute("error.type", code);
      span.setStatus({ code: this.#api.SpanStatusCode.ERROR, message });
    }
    span.end();
    this.#spans.delete(status.id);
    if (this.#running.get(status.process) === status.id) this.#running.delete(status.process);
  }

  #begin({ id, kind, process, instance }: OperationStatus): Span {
    return this.#tracer().startSpan(`${kind} ${instance ?? process}`, {
      attributes: {
        "millrace.operation.id": id,
        "millrace.operation.kind": kind,
        "millrace.process": process,
        ...(instance === undefined ? {} : { "millrace.instance": instance }),
      },
    });
  }

  #onInstance(change: InstanceChange): void {
    const key = `${change.instance} ${change.generation}`;
    if (change.to === "starting" || change.to === "draining") {
      this.#endChild(key, change);
      this.#beginChild(key, change);
    } else if (change.to !== "stopping") this.#endChild(key, change);
  }

  #beginChild(key: string, change: InstanceChange): void {
    const parent = this.#spans.get(this.#running.get(change.process) ?? "");
    if (parent === undefined) return;
    const verb = change.to === "starting" ? "start" : "stop";
    const span = this.#tracer().startSpan(
      `${verb} ${change.instance}`,
      {
        attributes: {
          "millrace.instance": change.instance,
          "millrace.generation": change.generation,
          "millrace.reason": change.reason,
        },
      },
      this.#api.trace.setSpan(this.#api.context.active(), parent),
    );
    this.#children.set(key, span);
  }

  #endChild(key: string, { to, reason }: InstanceChange): void {
    const span = this.#children.get(key);
    if (span === undefined) return;
    this.#children.delete(key);
    if (to === "failed" || to === "backoff" || to === "crashloop") {
      span.setStatus({ code: this.#api.SpanStatusCode.ERROR, message: reason });
    }
    span.end();
  }

  #tracer(): ReturnType<Api["trace"]["getTracer"]> {
    return this.#api.trace.getTracer("@millrace/supervisor");
  }
}
