import type { Logger } from "@millrace/core";
import type { Fleet } from "../fleet.ts";
import type { Instance } from "../process/instance.ts";
import type { ResourceUsage } from "../process/resource-usage.ts";
import { Autoscaler } from "./autoscaler.ts";
import { CpuMeter } from "./cpu-meter.ts";
import type { AutoscaleDecision } from "./decision.ts";

/** What autoscalers need to know of their surroundings. */
export interface AutoscalerServices {
  logger: Logger;
  usage: (instance: Instance) => ResourceUsage | undefined;
  startupMs: (process: string) => number;
  onDecision: (decision: AutoscaleDecision) => void;
}

/** The autoscalers of all processes that have one. */
export class Autoscalers {
  readonly #scalers = new Map<string, Autoscaler>();

  constructor(fleet: Fleet, services: AutoscalerServices) {
    for (const [name, process] of fleet.processes) {
      const { autoscale, minScale, maxScale } = process.spec.options;
      if (autoscale === undefined) continue;
      const meter = new CpuMeter(process.clock);
      const target = {
        process: name,
        minScale,
        maxScale,
        clock: process.clock,
        isBusy: () => process.operations.activeKinds.some((kind) => kind !== "scale"),
        scale: (desired: number, reason: string) => fleet.scale(name, desired, {}, reason),
        context: () => {
          const { active } = process;
          const usages = active.map((instance) => services.usage(instance));
          return {
            process: name,
            nowMs: process.clock.now(),
            current: process.desired,
            ready: active.filter(({ state }) => state === "ready").length,
            busy: active.reduce((sum, { busy }) => sum + (busy ?? 0), 0),
            startupMs: services.startupMs(name),
            cpuCores: meter.read(process, services.usage),
            eventLoopUtilisation: meanUtilisation(active),
            residentBytes: usages.every((usage) => usage !== undefined)
              ? usages.reduce((sum, usage) => sum + usage.residentBytes, 0)
              : undefined,
          };
        },
      };
      this.#scalers.set(
        name,
        new Autoscaler(target, autoscale, services.logger, services.onDecision),
      );
    }
  }

  start(): void {
    for (const scaler of this.#scalers.values()) scaler.start();
  }

  async close(): Promise<void> {
    await Promise.all([...this.#scalers.values()].map((scaler) => scaler.close()));
  }

  wake(process: string): Promise<void> {
    return this.#scalers.get(process)?.wake() ?? Promise.resolve();
  }

  /** Newest last. */
  decisions(): AutoscaleDecision[] {
    return [...this.#scalers.values()].flatMap(({ decisions }) => decisions);
  }

  /** What each input said last. */
  *opinions(): Generator<{ process: string; input: string; desired: number }> {
    for (const [process, { decisions }] of this.#scalers) {
      for (const { input, desired } of decisions.at(-1)?.opinions ?? []) {
        if (desired !== null) yield { process, input, desired };
      }
    }
  }
}

function meanUtilisation(instances: readonly Instance[]): number | undefined {
  const reported = instances
    .filter(({ state }) => state === "ready")
    .map(({ eventLoopUtilisation }) => eventLoopUtilisation)
    .filter((utilisation) => utilisation !== undefined);
  if (reported.length === 0) return undefined;
  return reported.reduce((sum, utilisation) => sum + utilisation, 0) / reported.length;
}
