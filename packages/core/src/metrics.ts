import { createRequire } from "node:module";
import type * as PromClient from "prom-client";

// prom-client's index also loads its push gateway and default metrics, and with them HTTPS, zlib and
// OpenTelemetry: 21 MiB in a process that has none of them, where these four files take 4.
const require = createRequire(import.meta.url);
const { globalRegistry } = require("prom-client/lib/registry") as {
  globalRegistry: PromClient.Registry;
};
const Counter = require("prom-client/lib/counter") as typeof PromClient.Counter;
const Gauge = require("prom-client/lib/gauge") as typeof PromClient.Gauge;
const Histogram = require("prom-client/lib/histogram") as typeof PromClient.Histogram;

/** Where metrics are published: a prom-client registry. */
export type MetricsRegistry = PromClient.Registry;

/** The process's own registry, used by components that were given none. */
export const defaultMetrics: MetricsRegistry = globalRegistry;

/** Name, unit and labels of one metric, in Prometheus's conventions. */
export interface MetricFamily {
  type: "counter" | "gauge";
  name: string;
  help: string;
  labelNames?: readonly string[] | undefined;
}

/** One value of a family. */
export interface MetricSample {
  labels?: Record<string, string> | undefined;
  value: number;
}

type ReadSamples = () => number | Iterable<MetricSample>;

const published = new WeakMap<MetricsRegistry, Map<string, Set<ReadSamples>>>();

/**
 * Publishes numbers that a component counts by itself: `read` runs at scrape time only, so hot
 * paths pay nothing. Components of one kind may share a family; equal labels are summed.
 *
 * @returns a function that takes the samples out again.
 */
export function publishMetric(
  registry: MetricsRegistry,
  family: MetricFamily,
  read: ReadSamples,
): () => void {
  let families = published.get(registry);
  if (families === undefined) {
    families = new Map();
    published.set(registry, families);
  }
  const readers = families.get(family.name) ?? new Set<ReadSamples>();
  // Somebody may have cleared the registry since the family was created.
  if (readers.size === 0 || registry.getSingleMetric(family.name) === undefined) {
    families.set(family.name, readers);
    createFamily(registry, family, readers);
  }
  const entry: ReadSamples = () => read();
  readers.add(entry);
  return () => {
    if (!readers.delete(entry) || readers.size > 0) return;
    families.delete(family.name);
    registry.removeSingleMetric(family.name);
  };
}

function createFamily(
  registry: MetricsRegistry,
  family: MetricFamily,
  readers: Set<ReadSamples>,
): void {
  const configuration = {
    name: family.name,
    help: family.help,
    labelNames: family.labelNames ?? [],
    registers: [registry],
    collect() {
      metric.reset();
      for (const read of readers) {
        const samples = read();
        if (typeof samples === "number") metric.inc(samples);
        else for (const { labels, value } of samples) metric.inc(labels ?? {}, value);
      }
    },
  };
  const metric = family.type === "counter" ? new Counter(configuration) : new Gauge(configuration);
}

/** Name, unit, labels and upper bounds of a histogram. */
export interface HistogramFamily extends Omit<MetricFamily, "type"> {
  /** Upper bounds of the buckets, ascending. */
  buckets: readonly number[];
}

/** A histogram that was published. */
export interface PublishedHistogram {
  observe(labels: Record<string, string>, value: number): void;
  /** Takes it out of the registry, unless others still publish it. */
  withdraw(): void;
}

const histogramUsers = new WeakMap<object, number>();

/** Publishes a histogram; components of one kind in one registry share it. */
export function publishHistogram(
  registry: MetricsRegistry,
  { name, help, labelNames = [], buckets }: HistogramFamily,
): PublishedHistogram {
  const existing = registry.getSingleMetric(name);
  const histogram =
    existing instanceof Histogram
      ? existing
      : new Histogram({ name, help, labelNames, buckets: [...buckets], registers: [registry] });
  histogramUsers.set(histogram, (histogramUsers.get(histogram) ?? 0) + 1);
  let isWithdrawn = false;
  return {
    observe: (labels, value) => histogram.observe(labels, value),
    withdraw: () => {
      if (isWithdrawn) return;
      isWithdrawn = true;
      const users = (histogramUsers.get(histogram) ?? 1) - 1;
      histogramUsers.set(histogram, users);
      // Somebody may have cleared the registry and published it anew.
      if (users === 0 && registry.getSingleMetric(name) === histogram) {
        registry.removeSingleMetric(name);
      }
    },
  };
}
