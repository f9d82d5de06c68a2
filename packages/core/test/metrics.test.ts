import { register, Registry } from "prom-client";
import { expect, test } from "vitest";
import {
  defaultMetrics,
  type HistogramFamily,
  type MetricFamily,
  publishHistogram,
  publishMetric,
} from "../src/metrics.ts";

const rows: MetricFamily = { type: "gauge", name: "rows", help: "Rows." };
const refusals: MetricFamily = {
  type: "counter",
  name: "refusals_total",
  help: "Refusals.",
  labelNames: ["reason"],
};

const seconds: HistogramFamily = {
  name: "stop_seconds",
  help: "Stops.",
  labelNames: ["process"],
  buckets: [1, 5],
};

test("the default is the registry that prom-client's users know", () => {
  expect(defaultMetrics).toBe(register);
});

test("a histogram that several publish counts for all, and goes with the last of them", async () => {
  const registry = new Registry();
  const first = publishHistogram(registry, seconds);
  const second = publishHistogram(registry, seconds);
  first.observe({ process: "web" }, 0.5);
  second.observe({ process: "web" }, 3);
  first.withdraw();
  first.withdraw();
  const page = await registry.metrics();
  expect(page).toMatch(/^stop_seconds_bucket\{le="1",process="web"\} 1$/m);
  expect(page).toMatch(/^stop_seconds_count\{process="web"\} 2$/m);
  second.withdraw();
  expect(await registry.metrics()).not.toContain("stop_seconds");
});

test("a histogram of a cleared registry doesn't take out the one that came after", async () => {
  const registry = new Registry();
  const before = publishHistogram(registry, seconds);
  registry.clear();
  publishHistogram(registry, seconds).observe({ process: "web" }, 2);
  before.withdraw();
  expect(await registry.metrics()).toMatch(/^stop_seconds_count\{process="web"\} 1$/m);
});

test("a number is read when the page is scraped, not before", async () => {
  const registry = new Registry();
  let reads = 0;
  publishMetric(registry, rows, () => ++reads);
  expect(reads).toBe(0);
  expect(await registry.metrics()).toMatch(/^rows 1$/m);
  expect(await registry.metrics()).toMatch(/^rows 2$/m);
});

test("components of one kind are summed, label by label", async () => {
  const registry = new Registry();
  const read = () => [
    { labels: { reason: "full" }, value: 2 },
    { labels: { reason: "late" }, value: 1 },
  ];
  publishMetric(registry, refusals, read);
  publishMetric(registry, refusals, read);
  publishMetric(registry, refusals, () => [{ labels: { reason: "full" }, value: 5 }]);
  const page = await registry.metrics();
  expect(page).toMatch(/^refusals_total\{reason="full"\} 9$/m);
  expect(page).toMatch(/^refusals_total\{reason="late"\} 2$/m);
  expect(page).toContain("# TYPE refusals_total counter");
});

test("a withdrawn component no longer counts; with the last one the family is gone", async () => {
  const registry = new Registry();
  const first = publishMetric(registry, rows, () => 1);
  const second = publishMetric(registry, rows, () => 10);
  first();
  expect(await registry.metrics()).toMatch(/^rows 10$/m);
  second();
  expect(await registry.metrics()).not.toContain("rows");
});

test("withdrawing twice does not harm a component that came later", async () => {
  const registry = new Registry();
  const withdraw = publishMetric(registry, rows, () => 1);
  withdraw();
  publishMetric(registry, rows, () => 7);
  withdraw();
  expect(await registry.metrics()).toMatch(/^rows 7$/m);
});

test("a cleared registry gets the family again with the next component", async () => {
  const registry = new Registry();
  publishMetric(registry, rows, () => 1);
  registry.clear();
  publishMetric(registry, rows, () => 2);
  expect(await registry.metrics()).toMatch(/^rows 3$/m);
});

test("two registries do not share anything", async () => {
  const [one, other] = [new Registry(), new Registry()];
  publishMetric(one, rows, () => 1);
  publishMetric(other, rows, () => 2);
  expect(await one.metrics()).toMatch(/^rows 1$/m);
  expect(await other.metrics()).toMatch(/^rows 2$/m);
});
