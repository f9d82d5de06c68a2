import type { AutoscaleContext, AutoscaleInput } from "../../options/autoscale-options.ts";

/** What a metric is compared with; give one. */
export type MetricOptions =
  | {
      /** Wanted value; the count is scaled by measured / target. */
      target: number;
      name?: string | undefined;
    }
  | {
      /** Wanted share of the value per instance: instances = value / targetPerInstance. */
      targetPerInstance: number;
      name?: string | undefined;
    };

/**
 * Scales by anything that can be measured. A rejection, `undefined` or a number that is none counts
 * as missing.
 */
export function metric(
  read: (context: AutoscaleContext) => number | undefined | Promise<number | undefined>,
  options: MetricOptions,
): AutoscaleInput {
  return {
    name: options.name ?? "metric",
    async read(context) {
      const value = await read(context);
      if (value === undefined || !Number.isFinite(value) || value < 0) return undefined;
      if ("target" in options) {
        return { ratio: value / options.target, reason: `${value}, target ${options.target}` };
      }
      return {
        desired: Math.ceil(value / options.targetPerInstance),
        active: value > 0,
        reason: `${value}, ${options.targetPerInstance} per instance`,
      };
    },
  };
}
