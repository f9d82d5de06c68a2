import type { Clock } from "../host/clock.ts";
import type { ManagedProcess } from "../scaling/managed-process.ts";
import type { Instance } from "../process/instance.ts";
import type { ResourceUsage } from "../process/resource-usage.ts";

/** Turns the growing processor times of a process's instances into cores used since the last look. */
export class CpuMeter {
  readonly #clock: Clock;
  #last: { atMs: number; seconds: WeakMap<Instance, number> } | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Cores since the last call, without the boot of instances that are not ready. */
  read(
    process: ManagedProcess,
    usage: (instance: Instance) => ResourceUsage | undefined,
  ): number | undefined {
    const nowMs = this.#clock.monotonicMs();
    const last = this.#last;
    const seconds = new WeakMap<Instance, number>();
    let used = 0;
    let measured = 0;
    for (const instance of process.active) {
      const cpuSeconds = usage(instance)?.cpuSeconds;
      if (cpuSeconds === undefined || instance.state !== "ready") continue;
      seconds.set(instance, cpuSeconds);
      const before = last?.seconds.get(instance);
      if (before === undefined) continue;
      used += Math.max(0, cpuSeconds - before);
      measured++;
    }
    this.#last = { atMs: nowMs, seconds };
    if (last === undefined || measured === 0) return undefined;
    return (used / (nowMs - last.atMs)) * 1_000;
  }
}
