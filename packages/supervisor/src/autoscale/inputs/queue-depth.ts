import { MillraceError } from "@millrace/core";
import type { AutoscaleInput } from "../../options/autoscale-options.ts";
import { DemandForecast, type DemandForecastOptions } from "../forecast/demand-forecast.ts";
import type { Steps } from "./steps.ts";

/** A queue as far as scaling is concerned. */
export interface DepthSource {
  /** Jobs that wait. */
  depth(): number | Promise<number>;
  /** Age of the oldest waiting job, in milliseconds. */
  oldestAgeMs?(): number | Promise<number>;
  /** Jobs that ever came and ever ended: makes forecasts far better than depths alone. */
  counters?(): Promise<Counters> | Counters;
}

/** Totals since some fixed moment; they only grow. */
export interface Counters {
  /** Jobs that ever came. */
  arrived: number;
  /** Jobs that ever ended, failed ones included. */
  completed: number;
}

/** How depth becomes instances; give exactly one of `steps`, `perInstance` and `forecast`. */
export interface QueueDepthOptions {
  /** Name in decisions and metrics. @default "queue-depth" */
  name?: string | undefined;
  /** Tiers. */
  steps?: Steps | undefined;
  /** Waiting jobs that one instance may have before it, above 0. */
  perInstance?: number | undefined;
  /** Size for a waiting time, looking ahead over the time that a new instance takes to start. */
  forecast?: DemandForecastOptions | undefined;
}

/**
 * Scales by the number of waiting jobs.
 *
 * @throws {@link MillraceError} `CONFIG_INVALID` unless exactly one way is given.
 * @example
 * ```ts
 * import { queueDepth, steps } from "@millrace/supervisor";
 *
 * const input = queueDepth({ depth: () => 750 }, { steps: steps([{ above: 500, instances: 10 }]) });
 * console.log(input.name);
 * ```
 */
export function queueDepth(source: DepthSource, options: QueueDepthOptions): AutoscaleInput {
  const { name = "queue-depth", steps, perInstance, forecast } = options;
  const ways = [steps, perInstance, forecast].filter((way) => way !== undefined);
  if (ways.length !== 1) {
    throw new MillraceError(
      "CONFIG_INVALID",
      `${name}: give exactly one of steps, perInstance and forecast, not ${ways.length}`,
    );
  }
  const demand = forecast === undefined ? undefined : new DemandForecast(forecast);
  return {
    name,
    async read(context) {
      const depth = await source.depth();
      const active = depth > 0;
      if (steps !== undefined) {
        // Tiers say how many even for an empty queue: no activation of its own.
        return { desired: steps(depth), exact: true, reason: `depth ${depth}` };
      }
      if (perInstance !== undefined) {
        const desired = Math.ceil(depth / perInstance);
        return { desired, active, reason: `depth ${depth}, ${perInstance} per instance` };
      }
      const counters = await source.counters?.();
      const oldestAgeMs = await source.oldestAgeMs?.();
      const wanted = demand?.observe({
        nowMs: context.nowMs,
        depth,
        arrived: counters?.arrived,
        completed: counters?.completed,
        oldestAgeMs,
        instances: context.ready,
        startupMs: context.startupMs,
      });
      if (wanted === undefined) return undefined;
      return {
        desired: wanted.instances,
        active: active || wanted.arrivalsPerSecond > 0.01,
        reason: wanted.reason,
      };
    },
  };
}
