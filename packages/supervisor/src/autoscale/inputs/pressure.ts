import type { Pressure } from "@millrace/core";
import type { AutoscaleInput } from "../../options/autoscale-options.ts";

const DEFAULT_TARGET = 0.7;

/** Scales so that the utilisation of a shared pressure comes to `target` (default 0.7). */
export function pressure(
  source: Pick<Pressure, "utilisation">,
  { target = DEFAULT_TARGET }: { target?: number | undefined } = {},
): AutoscaleInput {
  return {
    name: "pressure",
    read: () => ({
      ratio: source.utilisation / target,
      reason: `pressure ${source.utilisation.toFixed(2)}, target ${target}`,
    }),
  };
}
