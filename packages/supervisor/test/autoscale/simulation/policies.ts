import { decide, type DecisionHistory, EMPTY_HISTORY } from "../../../src/autoscale/decision.ts";
import { DemandForecast } from "../../../src/autoscale/forecast/demand-forecast.ts";
import type { Policy, World } from "./simulator.ts";

const MAX = 100;

/** Ours: the forecast of a counted queue through the decision pipeline. */
export function forecastPolicy(world: World, downSeconds: number, periodSeconds = 5): Policy {
  const forecast = new DemandForecast({ maxWaitMs: world.slaSeconds * 1_000 });
  let history: DecisionHistory = EMPTY_HISTORY;
  return {
    periodSeconds,
    decide({ second, depth, arrived, completed, oldestAgeSeconds, ready, workers }) {
      const nowMs = second * 1_000;
      const demand = forecast.observe({
        nowMs,
        depth,
        arrived,
        completed,
        oldestAgeMs: oldestAgeSeconds * 1_000,
        instances: ready,
        startupMs: world.startSeconds * 1_000,
      });
      const reading = { desired: demand.instances, exact: false, reason: demand.reason };
      const decided = decide(
        [{ input: "queue", reading }],
        workers,
        nowMs,
        {
          min: 1,
          max: MAX,
          up: { stabilizationMs: 0, tolerance: 0.2, policies: [] },
          down: { stabilizationMs: downSeconds * 1_000, tolerance: 0.2, policies: [] },
          cooldownMs: 60_000,
          activationSamples: 1,
          fallback: undefined,
        },
        history,
      );
      ({ history } = decided);
      return decided.verdict.desired;
    },
  };
}

/**
 * The algorithm that ours is measured against, from its published description: Little's law with a
 * constant margin, arrivals from two backlog readings, a drain term that grows with the age of the
 * oldest job, at most one worker less per cycle.
 */
export function constantMarginPolicy(world: World): Policy {
  let last: { second: number; depth: number; completed: number } | undefined;
  return {
    periodSeconds: 5,
    decide({ second, depth, completed, oldestAgeSeconds, workers }) {
      const gap = last === undefined ? 0 : second - last.second;
      const throughput = last === undefined ? 0 : (completed - last.completed) / Math.max(1, gap);
      const change = last === undefined ? 0 : depth - last.depth;
      last = { second, depth, completed };
      const jobSeconds = 1;
      let confidence = gap >= 5 && gap <= 30 ? 0.9 : 0.5;
      confidence *= Math.abs(change) < 3 ? 0.6 : 0.7 + 0.3 * Math.min(Math.abs(change) / 10, 1);
      let arrivals = throughput;
      if (gap > 0 && confidence >= 0.5) arrivals = Math.max(0, throughput + change / gap);
      if (arrivals === 0 && depth >= 3) {
        arrivals =
          (depth / world.slaSeconds) * Math.min(oldestAgeSeconds / (0.5 * world.slaSeconds), 2);
      }
      const predictive = 1.2 * arrivals * jobSeconds;
      const progress = oldestAgeSeconds / world.slaSeconds;
      let drain = 0;
      if (progress >= 0.5) {
        const left = (world.slaSeconds - oldestAgeSeconds) / jobSeconds;
        const base = progress < 1 ? depth / Math.max(left, 1) : depth / Math.max(jobSeconds, 0.1);
        drain = base * Math.min(1 + 8 * (progress - 0.5) ** 2, 5);
      }
      const target = Math.min(MAX, Math.max(1, Math.ceil(Math.max(predictive, drain) - 1e-9)));
      return target < workers ? workers - 1 : target;
    },
  };
}
