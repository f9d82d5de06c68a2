import type { Fleet } from "./fleet.ts";
import type { SupervisorHost } from "./host/supervisor-host.ts";
import type { Instance } from "./process/instance.ts";
import type { ManagedProcess } from "./scaling/managed-process.ts";
import { MemoryTrend } from "./memory-trend.ts";
import type { MemoryLimitKind } from "./supervisor-events.ts";
import type { ResourceUsage } from "./process/resource-usage.ts";

/** Called when an instance is over its limit. */
export type OnMemoryExceeded = (
  instance: Instance,
  residentBytes: number,
  limit: MemoryLimitKind,
) => void;

/**
 * Reads what instances take and enforces memory limits: over the soft one an instance is replaced,
 * one at a time per process; over the hard one it is killed. One that leaks towards
 * its limit is replaced before it gets there.
 */
export class MemoryWatch {
  readonly #fleet: Fleet;
  readonly #host: SupervisorHost;
  readonly #onExceeded: OnMemoryExceeded;
  readonly #usage = new WeakMap<Instance, ResourceUsage & { pid: number }>();
  readonly #trends = new WeakMap<Instance, { pid: number; trend: MemoryTrend }>();
  readonly #recycling = new Set<string>();

  constructor(fleet: Fleet, host: SupervisorHost, onExceeded: OnMemoryExceeded) {
    this.#fleet = fleet;
    this.#host = host;
    this.#onExceeded = onExceeded;
  }

  /** What an instance took at the last sample. */
  usage(instance: Instance): ResourceUsage | undefined {
    const usage = this.#usage.get(instance);
    return usage !== undefined && usage.pid === instance.pid ? usage : undefined;
  }

  sample(): void {
    for (const process of this.#fleet.processes.values()) {
      for (const instance of process.all) {
        const { pid } = instance;
        const usage = pid === undefined ? undefined : this.#host.sample(pid);
        if (pid === undefined || usage === undefined) continue;
        this.#usage.set(instance, { ...usage, pid });
        this.#enforce(process, instance, pid, usage.residentBytes);
      }
    }
  }

  #enforce(process: ManagedProcess, instance: Instance, pid: number, residentBytes: number): void {
    const limit = instance.spec.options.memoryLimit;
    if (limit === undefined) return;
    if (limit.hard !== undefined && residentBytes > limit.hard) {
      this.#onExceeded(instance, residentBytes, "hard");
      instance.run?.signal("SIGKILL");
      return;
    }
    const isOver = limit.soft !== undefined && residentBytes > limit.soft;
    if (!isOver && !this.#isLeaking(instance, pid, residentBytes)) return;
    const isReplaceable = process.instances.get(instance.number) === instance;
    if (!isReplaceable || this.#recycling.has(process.name) || instance.state !== "ready") return;
    this.#recycling.add(process.name);
    this.#onExceeded(instance, residentBytes, isOver ? "soft" : "predicted");
    instance.restarts.count("memory");
    const operation = this.#fleet.recycle(process, instance);
    void operation.done.then(() => this.#recycling.delete(process.name));
  }

  /** Whether memory grows steadily and reaches the lower limit within the time asked for. */
  #isLeaking(instance: Instance, pid: number, residentBytes: number): boolean {
    const { soft, hard, predictMs = 0 } = instance.spec.options.memoryLimit ?? {};
    const limitBytes = soft ?? hard;
    if (predictMs === 0 || limitBytes === undefined) return false;
    let known = this.#trends.get(instance);
    if (known === undefined || known.pid !== pid) {
      known = { pid, trend: new MemoryTrend() };
      this.#trends.set(instance, known);
    }
    // What a start allocates is no leak, however steep.
    if (instance.state !== "ready") return false;
    known.trend.add(this.#host.clock.monotonicMs(), residentBytes);
    const inMs = known.trend.crossesInMs(limitBytes);
    // Half the way first: the shorter the way, the more a line is worth.
    return inMs !== undefined && inMs <= predictMs && residentBytes >= limitBytes / 2;
  }
}
