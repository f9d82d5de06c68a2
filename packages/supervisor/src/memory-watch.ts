import type { Fleet } from "./fleet.ts";
import { sampleTree } from "./process/resource-sampler.ts";
import type { Instance } from "./process/instance.ts";
import type { ManagedProcess } from "./scaling/managed-process.ts";
import type { ResourceUsage } from "./supervisor-status.ts";

/** Called when an instance is over its limit. */
export type OnMemoryExceeded = (
  instance: Instance,
  residentBytes: number,
  limit: "soft" | "hard",
) => void;

/**
 * Reads what instances take and enforces memory limits: over the soft one an instance is replaced,
 * one at a time per process; over the hard one it is killed.
 */
export class MemoryWatch {
  readonly #fleet: Fleet;
  readonly #onExceeded: OnMemoryExceeded;
  readonly #usage = new WeakMap<Instance, ResourceUsage & { pid: number }>();
  readonly #recycling = new Set<string>();

  constructor(fleet: Fleet, onExceeded: OnMemoryExceeded) {
    this.#fleet = fleet;
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
        const usage = pid === undefined ? undefined : sampleTree(pid);
        if (pid === undefined || usage === undefined) continue;
        this.#usage.set(instance, { ...usage, pid });
        this.#enforce(process, instance, usage.residentBytes);
      }
    }
  }

  #enforce(process: ManagedProcess, instance: Instance, residentBytes: number): void {
    const limit = instance.spec.options.memoryLimit;
    if (limit === undefined) return;
    if (limit.hard !== undefined && residentBytes > limit.hard) {
      this.#onExceeded(instance, residentBytes, "hard");
      instance.run?.signal("SIGKILL");
      return;
    }
    if (limit.soft === undefined || residentBytes <= limit.soft) return;
    const isReplaceable = process.instances.get(instance.number) === instance;
    if (!isReplaceable || this.#recycling.has(process.name) || instance.state !== "ready") return;
    this.#recycling.add(process.name);
    this.#onExceeded(instance, residentBytes, "soft");
    instance.restarts.count("memory");
    const operation = this.#fleet.recycle(process, instance);
    void operation.done.then(() => this.#recycling.delete(process.name));
  }
}
