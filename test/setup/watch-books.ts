import { type Metric, Registry } from "prom-client";
import { afterEach, beforeEach } from "vitest";
import { findImbalance } from "./books.ts";

/** How often each registry is scraped while a test runs, in milliseconds. */
const INTERVAL_MS = 50;

interface RegistryMethods {
  registerMetric: (this: Registry, metric: Metric) => void;
  metrics: (this: Registry) => Promise<string>;
}

// Whatever else a test is about, the books balance at every scrape that it, or this file, makes.
const registries = new Set<Registry>();
const imbalances: string[] = [];

const methods: RegistryMethods = Registry.prototype;
const { registerMetric } = methods;
const scrape = methods.metrics;

Registry.prototype.registerMetric = function (this: Registry, metric) {
  if (isOfBuffer(metric)) registries.add(this);
  registerMetric.call(this, metric);
};

Registry.prototype.metrics = async function (this: Registry) {
  const metrics = await scrape.call(this);
  const imbalance = findImbalance(metrics);
  if (imbalance !== undefined) imbalances.push(imbalance);
  return metrics;
};

async function scrapeAll(): Promise<void> {
  for (const registry of registries) {
    if (registry.getSingleMetric("millrace_buffer_state_rows") === undefined) {
      registries.delete(registry);
    } else {
      await registry.metrics();
    }
  }
}

let timer: NodeJS.Timeout | undefined;

beforeEach(() => {
  // A buffer whose file was damaged for the test has no status to scrape.
  timer = setInterval(() => void scrapeAll().catch(() => {}), INTERVAL_MS).unref();
});

afterEach(() => {
  clearInterval(timer);
  const found = imbalances.splice(0);
  if (found.length > 0) throw new Error(`the books did not balance: ${found[0]}`);
});

function isOfBuffer(metric: unknown): boolean {
  return (
    typeof metric === "object" &&
    metric !== null &&
    Reflect.get(metric, "name") === "millrace_buffer_state_rows"
  );
}
