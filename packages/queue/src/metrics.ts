import {
  defaultMetrics,
  type MetricSample,
  type MetricsRegistry,
  type PublishedHistogram,
  publishHistogram,
  publishMetric,
} from "@millrace/core";
import type { QueueStatus } from "./queue-status.ts";

/** What a queue counts by itself. */
export interface QueueCounters {
  added: number;
  refused: number;
  duplicates: number;
}

/** What a worker counts by itself. */
export interface WorkerCounters {
  completed: number;
  failed: number;
  retried: number;
  /** Runs that found no slot and went back behind the gate. */
  parked: number;
  /** Runs given back because of a rate limit or a shutdown. */
  deferred: number;
  /** Runs that were cancelled. */
  cancelled: number;
}

/** Publishes a queue's counters and its last depth. @returns a function that withdraws them. */
export function publishQueueMetrics(
  queue: {
    role: string;
    counters: QueueCounters;
    options: { metrics?: MetricsRegistry | undefined };
  },
  depth: () => QueueStatus | undefined,
): () => void {
  const registry = queue.options.metrics ?? defaultMetrics;
  const { role, counters } = queue;
  const perTenant = (read: (tenant: QueueStatus["tenants"][number]) => number): MetricSample[] =>
    (depth()?.tenants ?? []).map((tenant) => ({
      labels: { role, tenant: tenant.tenantId },
      value: read(tenant),
    }));
  const withdraw = [
    publishMetric(
      registry,
      {
        type: "counter",
        name: "millrace_queue_adds_total",
        help: "Tasks offered to the queue by this process.",
        labelNames: ["role", "result"],
      },
      () => [
        { labels: { role, result: "added" }, value: counters.added },
        { labels: { role, result: "refused" }, value: counters.refused },
        { labels: { role, result: "duplicate" }, value: counters.duplicates },
      ],
    ),
    publishMetric(
      registry,
      {
        type: "gauge",
        name: "millrace_queue_staged_tasks",
        help: "Tasks that wait behind the gate.",
        labelNames: ["role", "tenant"],
      },
      () => perTenant(({ staged }) => staged),
    ),
    publishMetric(
      registry,
      {
        type: "gauge",
        name: "millrace_queue_held_slots",
        help: "Slots that a tenant's tasks hold.",
        labelNames: ["role", "tenant"],
      },
      () => perTenant(({ held }) => held),
    ),
    publishMetric(
      registry,
      {
        type: "gauge",
        name: "millrace_queue_oldest_staged_seconds",
        help: "Age of the oldest task that is first in its tenant's line.",
        labelNames: ["role"],
      },
      () => [{ labels: { role }, value: (depth()?.oldestAgeMs ?? 0) / 1_000 }],
    ),
  ];
  return () => {
    for (const take of withdraw) take();
  };
}

/** Publishes a worker's counters. @returns a function that withdraws them. */
export function publishWorkerMetrics(
  role: string,
  counters: WorkerCounters,
  registry: MetricsRegistry,
): () => void {
  return publishMetric(
    registry,
    {
      type: "counter",
      name: "millrace_queue_runs_total",
      help: "Runs of tasks by this process, by how they ended.",
      labelNames: ["role", "result"],
    },
    () =>
      Object.entries(counters).map(([result, value]) => ({
        labels: { role, result },
        value: Number(value),
      })),
  );
}

const BUCKETS_SECONDS = [0.005, 0.02, 0.1, 0.5, 1, 5, 15, 60, 300, 1_800];

/** Histograms of waiting and running time; workers of one process share them. */
export function taskHistograms(registry: MetricsRegistry) {
  const histogram = (name: string, help: string): PublishedHistogram =>
    publishHistogram(registry, { name, help, labelNames: ["role"], buckets: BUCKETS_SECONDS });
  return {
    waitSeconds: histogram("millrace_queue_wait_seconds", "From add to the first start of a task."),
    runSeconds: histogram("millrace_queue_run_seconds", "Time that a handler took."),
  };
}
