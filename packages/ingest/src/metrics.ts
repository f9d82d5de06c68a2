import {
  type MetricFamily,
  type MetricSample,
  type MetricsRegistry,
  publishMetric,
} from "@millrace/core";
import type { ByteBudget } from "./byte-budget.ts";
import type { IngestCounters } from "./ingest-counters.ts";
import type { ResolvedIngestLimits } from "./ingest-options.ts";

export interface IngestMetricSources {
  counters: IngestCounters;
  budget: ByteBudget;
  limits: ResolvedIngestLimits;
  /** Over all listeners. */
  maxConnections: number;
  openConnections: () => number;
  probeOutcomes: () => Record<string, number>;
}

const TOKEN_REFUSALS = {
  type: "counter",
  name: "millrace_ingest_token_refusals_total",
  help: "Payloads refused, by the token that they came with.",
  labelNames: ["token", "reason"],
} as const;

const TRANSPORT_REFUSALS = {
  type: "counter",
  name: "millrace_ingest_transport_refusals_total",
  help: "Frames and connections refused, by how they came.",
  labelNames: ["transport", "reason"],
} as const;

/** Publishes a server's counters. @returns a function that withdraws them. */
export function publishIngestMetrics(
  registry: MetricsRegistry,
  { counters, budget, limits, maxConnections, openConnections, probeOutcomes }: IngestMetricSources,
): () => void {
  const plain = (type: MetricFamily["type"], name: string, help: string, read: () => number) =>
    publishMetric(registry, { type, name: `millrace_ingest_${name}`, help }, read);
  const labelled = (name: string, label: string, help: string, read: () => [string, number][]) =>
    publishMetric(
      registry,
      { type: "counter", name: `millrace_ingest_${name}`, help, labelNames: [label] },
      () => read().map(([key, value]) => ({ labels: { [label]: key }, value })),
    );
  const withdraw = [
    labelled("payloads_total", "token", "Payloads stored and acknowledged.", () => [
      ...counters.payloadsByToken,
    ]),
    labelled("transport_payloads_total", "transport", "Payloads stored, by how they came.", () =>
      Object.entries(counters.payloadsByTransport),
    ),
    labelled("refusals_total", "reason", "Frames and connections refused.", () =>
      Object.entries(counters.refusals),
    ),
    labelled("probes_total", "outcome", "Times that the server tried its own socket.", () =>
      Object.entries(probeOutcomes()),
    ),
    publishMetric(registry, TOKEN_REFUSALS, () => tokenRefusals(counters)),
    publishMetric(registry, TRANSPORT_REFUSALS, () => transportRefusals(counters)),
    plain("counter", "bytes_total", "Payload bytes stored.", () => counters.payloadBytes),
    plain("counter", "pings_total", "Pings answered.", () => counters.pings),
    plain("counter", "connections_total", "Connections opened.", () => counters.connections),
    plain("counter", "socket_errors_total", "Connections that broke.", () => counters.socketErrors),
    plain("gauge", "connections", "Connections now open.", openConnections),
    plain("gauge", "limit_connections", "Open connections allowed.", () => maxConnections),
    plain("gauge", "unfinished_bytes", "Bytes of unanswered frames.", () => budget.used),
    plain(
      "gauge",
      "limit_unfinished_bytes",
      "Bytes of unanswered frames allowed.",
      () => budget.limit,
    ),
    plain("gauge", "limit_frame_bytes", "LENGTH allowed.", () => limits.maxFrameBytes),
  ];
  return () => {
    for (const take of withdraw) take();
  };
}

function* tokenRefusals({ refusalsByToken }: IngestCounters): Generator<MetricSample> {
  for (const [token, reasons] of refusalsByToken) {
    for (const [reason, value] of reasons) yield { labels: { token, reason }, value };
  }
}

function* transportRefusals({ refusalsByTransport }: IngestCounters): Generator<MetricSample> {
  for (const [transport, reasons] of Object.entries(refusalsByTransport)) {
    for (const [reason, value] of reasons) yield { labels: { transport, reason }, value };
  }
}
