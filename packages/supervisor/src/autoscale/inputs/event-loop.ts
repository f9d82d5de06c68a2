import type { AutoscaleInput } from "../../options/autoscale-options.ts";

const DEFAULT_TARGET = 0.7;

/**
 * Scales so that the event loops of ready instances are busy for `target` of the time on average
 * (default 0.7). For Node.js children that use `@millrace/supervisor/child`, which report it.
 */
export function eventLoop({
  target = DEFAULT_TARGET,
}: { target?: number | undefined } = {}): AutoscaleInput {
  return {
    name: "event-loop",
    read({ eventLoopUtilisation, current }) {
      if (current === 0) return { desired: 0, reason: "no instance to measure" };
      if (eventLoopUtilisation === undefined) return undefined;
      const reason = `event loops busy for ${eventLoopUtilisation.toFixed(2)}, target ${target}`;
      return { ratio: eventLoopUtilisation / target, reason };
    },
  };
}
