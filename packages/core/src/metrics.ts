import { Counter, Gauge, register, type Registry } from "prom-client";

/** Where metrics are published: a prom-client registry. */
export type MetricsRegistry = Registry;

/** The process's own registry, used by components that were given none. */
export const defaultMetrics: MetricsRegistry = register;

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
