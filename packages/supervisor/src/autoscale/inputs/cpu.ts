import type { AutoscaleInput } from "../../options/autoscale-options.ts";

const DEFAULT_TARGET = 0.7;

/** Scales so that each ready instance uses `target` of one core on average (default 0.7). */
export function cpu({
  target = DEFAULT_TARGET,
}: { target?: number | undefined } = {}): AutoscaleInput {
  return {
    name: "cpu",
    read({ cpuCores, ready, current }) {
      if (current === 0) return { desired: 0, reason: "no instance to measure" };
      if (cpuCores === undefined || ready === 0) return undefined;
      const used = cpuCores / ready;
      return { ratio: used / target, reason: `${used.toFixed(2)} cores each, target ${target}` };
    },
  };
}
