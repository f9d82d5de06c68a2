import {
  type MetricFamily,
  type MetricSample,
  type MetricsRegistry,
  type PublishedHistogram,
  publishHistogram,
  publishMetric,
} from "@millrace/core";
import type { Fleet } from "./fleet.ts";
import { LabelledCounts } from "./labelled-counts.ts";
import { isAlive } from "./process/instance-state.ts";
import type { Instance } from "./process/instance.ts";
import type { ManagedProcess } from "./scaling/managed-process.ts";
import type { ResourceUsage } from "./process/resource-usage.ts";

/** Where the numbers come from. */
export interface MetricSources {
  fleet: Fleet;
  usage(instance: Instance): ResourceUsage | undefined;
  /** Last opinion of each input of each autoscaler. */
  opinions(): Iterable<{ process: string; input: string; desired: number }>;
}

const STOP_BUCKETS = [0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60];
const ROLLOUT_BUCKETS = [0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600];

/** Publishes what a supervisor knows; series of instances that are gone go with them. */
export class SupervisorMetrics {
  readonly #registry: MetricsRegistry;
  readonly #sources: MetricSources;
  readonly #scaleEvents = new LabelledCounts();
  readonly #hookRuns = new LabelledCounts();
  readonly #apiRefusals = new LabelledCounts();
  readonly #withdraw: Array<() => void> = [];
  readonly #prefix: string;
  #rollouts: PublishedHistogram | undefined;
  #stops: PublishedHistogram | undefined;

  /** Names begin with `prefix` instead of `millrace_`. */
  constructor(registry: MetricsRegistry, prefix: string, sources: MetricSources) {
    this.#registry = registry;
    this.#prefix = prefix;
    this.#sources = sources;
  }

  open(): void {
    const instance = ["process", "instance"];
    this.#gauge("millrace_process_up", "1 while the instance has a process.", instance, () =>
      this.#eachInstance((one) => (isAlive(one.state) && one.pid !== undefined ? 1 : 0)),
    );
    this.#gauge(
      "millrace_process_start_time_seconds",
      "Start of the instance's process since the Unix epoch.",
      instance,
      () =>
        this.#eachInstance((one) =>
          one.pid === undefined ? undefined : (one.run?.startedAtMs ?? 0) / 1_000,
        ),
    );
    this.#gauge(
      "millrace_process_resident_memory_bytes",
      "Resident memory of the instance and its children.",
      instance,
      () => this.#eachInstance((one) => this.#sources.usage(one)?.residentBytes),
    );
    this.#publish(
      {
        type: "counter",
        name: "millrace_process_cpu_seconds_total",
        help: "Processor time of the instance's process and its children.",
        labelNames: instance,
      },
      () => this.#eachInstance((one) => this.#sources.usage(one)?.cpuSeconds),
    );
    this.#publish(
      {
        type: "counter",
        name: "millrace_process_restarts_total",
        help: "Restarts of the instance by reason.",
        labelNames: ["process", "instance", "reason"],
      },
      () => this.#restarts(),
    );
    this.#gauge("millrace_process_desired_instances", "Instances wanted.", ["process"], () =>
      this.#eachProcess(({ desired }) => desired),
    );
    this.#gauge("millrace_process_ready_instances", "Instances ready.", ["process"], () =>
      this.#eachProcess(({ active }) => active.filter(({ state }) => state === "ready").length),
    );
    this.#publish(
      {
        type: "counter",
        name: "millrace_process_dropped_log_lines_total",
        help: "Lines of output lost because a log file was too slow.",
        labelNames: instance,
      },
      () => this.#eachInstance((one) => one.log.droppedLines),
    );
    this.#publish(
      {
        type: "counter",
        name: "millrace_scale_events_total",
        help: "Changes of the number of instances wanted.",
        labelNames: ["process", "direction", "reason"],
      },
      () => this.#scaleEvents.samples(),
    );
    this.#publish(
      {
        type: "counter",
        name: "millrace_hook_runs_total",
        help: "Runs of hooks by how they ended; those of the supervisor itself have no process.",
        labelNames: ["process", "stage", "outcome"],
      },
      () => this.#hookRuns.samples(),
    );
    this.#publish(
      {
        type: "counter",
        name: "millrace_api_refusals_total",
        help: "Requests to the management API that were refused for who sent them, or how many.",
        labelNames: ["reason"],
      },
      () => this.#apiRefusals.samples(),
    );
    this.#gauge(
      "millrace_autoscaler_desired",
      "Instances that each input of an autoscaler wants.",
      ["process", "input"],
      () =>
        [...this.#sources.opinions()].map(({ process, input, desired }) => ({
          labels: { process, input },
          value: desired,
        })),
    );
    this.#rollouts = this.#histogram(
      "millrace_rollout_seconds",
      "Duration of rollouts.",
      ["process", "outcome"],
      ROLLOUT_BUCKETS,
    );
    this.#stops = this.#histogram(
      "millrace_instance_stop_seconds",
      "Time that stopping an instance took.",
      ["process"],
      STOP_BUCKETS,
    );
  }

  close(): void {
    for (const withdraw of this.#withdraw) withdraw();
    this.#withdraw.length = 0;
  }

  countScale(process: string, direction: "up" | "down", reason: string): void {
    this.#scaleEvents.add({ process, direction, reason });
  }

  countHook(process: string, stage: string, outcome: string): void {
    this.#hookRuns.add({ process, stage, outcome });
  }

  countApiRefusal(reason: string): void {
    this.#apiRefusals.add({ reason });
  }

  observeRollout(process: string, outcome: string, seconds: number): void {
    this.#rollouts?.observe({ process, outcome }, seconds);
  }

  observeStop(process: string, seconds: number): void {
    this.#stops?.observe({ process }, seconds);
  }

  #gauge(
    name: string,
    help: string,
    labelNames: string[],
    read: () => Iterable<MetricSample>,
  ): void {
    this.#publish({ type: "gauge", name, help, labelNames }, read);
  }

  #publish(family: MetricFamily, read: () => Iterable<MetricSample>): void {
    const named = { ...family, name: this.#named(family.name) };
    this.#withdraw.push(publishMetric(this.#registry, named, read));
  }

  #histogram(
    name: string,
    help: string,
    labelNames: string[],
    buckets: number[],
  ): PublishedHistogram {
    const family = { name: this.#named(name), help, labelNames, buckets };
    const histogram = publishHistogram(this.#registry, family);
    this.#withdraw.push(() => histogram.withdraw());
    return histogram;
  }

  #named(name: string): string {
    return name.replace(/^millrace_/, this.#prefix);
  }

  *#restarts(): Generator<MetricSample> {
    for (const process of this.#sources.fleet.processes.values()) {
      for (const instance of process.instances.values()) {
        for (const [reason, value] of instance.restarts.counts) {
          yield { labels: { process: process.name, instance: instance.id, reason }, value };
        }
      }
    }
  }

  *#eachProcess(read: (process: ManagedProcess) => number): Generator<MetricSample> {
    for (const process of this.#sources.fleet.processes.values()) {
      yield { labels: { process: process.name }, value: read(process) };
    }
  }

  *#eachInstance(read: (instance: Instance) => number | undefined): Generator<MetricSample> {
    for (const process of this.#sources.fleet.processes.values()) {
      for (const instance of process.instances.values()) {
        const value = read(instance);
        if (value === undefined) continue;
        yield { labels: { process: process.name, instance: instance.id }, value };
      }
    }
  }
}
