import { Registry } from "prom-client";
import { expect, test } from "vitest";
import { parsePrometheusText, type Series } from "./fixtures/prometheus-text.ts";
import { startSupervisor } from "./fixtures/start-supervisor.ts";

const command = ["sleep", "1000"];

function named(series: Series, name: string): string[] {
  return [...series.keys()].filter((key) => key.startsWith(`${name}{`));
}

test("the page is strict Prometheus text, and after a scale from 10 to 2 there are two series", async () => {
  const metrics = new Registry();
  const supervisor = await startSupervisor({
    metrics,
    processes: { web_1: { command, scale: 10 } },
  });
  await supervisor.whenReady();
  const before = parsePrometheusText(await metrics.metrics());
  expect(named(before, "millrace_process_up")).toHaveLength(10);
  await supervisor.scale("web_1", 2).done;
  await supervisor.rollout("web_1", { env: { RELEASE: "2" } }).done;
  process.kill(Number(supervisor.process("web_1").instances[0]?.pid), "SIGKILL");
  await expect
    .poll(async () => {
      const page = parsePrometheusText(await metrics.metrics());
      return page.get(
        'millrace_process_restarts_total{process="web_1",instance="web_1-1",reason="crash"}',
      );
    })
    .toBe(1);
  const after = parsePrometheusText(await metrics.metrics());
  expect(named(after, "millrace_process_up").toSorted()).toEqual([
    'millrace_process_up{process="web_1",instance="web_1-1"}',
    'millrace_process_up{process="web_1",instance="web_1-2"}',
  ]);
  expect(after.get('millrace_process_desired_instances{process="web_1"}')).toBe(2);
  expect(after.get('millrace_rollout_seconds_count{process="web_1",outcome="succeeded"}')).toBe(1);
  expect(after.get('millrace_instance_stop_seconds_count{process="web_1"}')).toBeGreaterThanOrEqual(
    10,
  );
  const labels = named(after, "millrace_process_resident_memory_bytes").join();
  expect(labels.match(/instance="([^"]+)"/g)?.length ?? 0).toBeLessThanOrEqual(2);
});

test("with a prefix every name begins with it, and nothing stays behind in the registry", async () => {
  const metrics = new Registry();
  const supervisor = await startSupervisor({
    metrics,
    metricsPrefix: "phpeek_pm_",
    processes: { web: { command } },
  });
  const series = parsePrometheusText(await metrics.metrics());
  expect(series.get('phpeek_pm_process_up{process="web",instance="web-1"}')).toBe(1);
  expect([...series.keys()].filter((key) => !key.startsWith("phpeek_pm_"))).toEqual([]);
  await supervisor.close();
  expect(await metrics.metrics()).toBe("\n");
});
