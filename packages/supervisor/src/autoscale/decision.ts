import type { AutoscaleReading, RatePolicy } from "../options/autoscale-options.ts";
import { rateLimit, type ScaleChange } from "./rate-policy.ts";
import { stabilise, type Recommendation } from "./stabilisation.ts";

/** What one input said; `reading` is `undefined` when its metric was missing. */
export interface InputOpinion {
  input: string;
  reading: AutoscaleReading | undefined;
}

/** What an input's answer means in instances. */
export interface Opinion {
  input: string;
  /** `null` when the metric was missing or the input only sets bounds. */
  desired: number | null;
  min: number | null;
  max: number | null;
  active: boolean | null;
  reason: string;
}

/** Which rule had the last word. */
export type DecisionLimit =
  | "none"
  | "tolerance"
  | "missing-metric"
  | "fallback"
  | "activation"
  | "cooldown"
  | "stabilization"
  | "rate"
  | "min"
  | "max";

/** One decision with everything that led to it. */
export interface AutoscaleDecision {
  /** Grows by one per process. */
  id: number;
  process: string;
  /** ISO 8601. */
  time: string;
  current: number;
  /** The largest opinion, before any rule. */
  recommended: number;
  desired: number;
  limit: DecisionLimit;
  /** Whether it was carried out; not with `dryRun`, nor without a change. */
  applied: boolean;
  opinions: Opinion[];
  reason: string;
}

/** The rules of one autoscaler. */
export interface DecisionRules {
  min: number;
  max: number;
  up: { stabilizationMs: number; tolerance: number; policies: readonly RatePolicy[] };
  down: { stabilizationMs: number; tolerance: number; policies: readonly RatePolicy[] };
  cooldownMs: number;
  activationSamples: number;
  fallback: { afterFailures: number; instances: number } | undefined;
}

/** What decisions remember of those before. Never changed, only replaced. */
export interface DecisionHistory {
  readonly recommendations: readonly Recommendation[];
  readonly changes: readonly ScaleChange[];
  readonly lastActiveMs: number | undefined;
  readonly activeStreak: number;
  readonly failures: number;
}

/** The history of an autoscaler that has not decided yet. */
export const EMPTY_HISTORY: DecisionHistory = {
  recommendations: [],
  changes: [],
  lastActiveMs: undefined,
  activeStreak: 0,
  failures: 0,
};

/** A decision before it gets an id and a time. */
export type Verdict = Pick<
  AutoscaleDecision,
  "current" | "recommended" | "desired" | "limit" | "opinions" | "reason"
>;

/**
 * Decides how many instances there should be: the rules of the Kubernetes HorizontalPodAutoscaler
 * (largest opinion wins, tolerance, stabilisation windows, rate policies, a missing metric never
 * scales down) with activation to and from zero as KEDA has it. Pure: same input, same answer.
 */
export function decide(
  inputs: readonly InputOpinion[],
  current: number,
  nowMs: number,
  rules: DecisionRules,
  history: DecisionHistory,
): { verdict: Verdict; history: DecisionHistory } {
  const opinions = inputs.map((input) => interpret(input, current, rules));
  const missing = inputs.some(({ reading }) => reading === undefined);
  const bounds = boundsOf(opinions, rules);
  const values = opinions.map(({ desired }) => desired).filter((desired) => desired !== null);
  const failures = values.length === 0 && missing ? history.failures + 1 : 0;
  const active = isActive(opinions, values, missing);
  const activeStreak = active ? history.activeStreak + 1 : 0;
  const lastActiveMs = active ? nowMs : (history.lastActiveMs ?? nowMs);

  const recommended = values.length === 0 ? current : Math.max(...values);
  let desired = recommended;
  let limit: DecisionLimit = "none";
  if (desired === current && opinions.some(({ reason }) => reason.endsWith(WITHIN_TOLERANCE))) {
    limit = "tolerance";
  }
  if (missing && desired < current) {
    desired = current;
    limit = "missing-metric";
  }
  const { fallback } = rules;
  if (
    fallback !== undefined &&
    failures >= fallback.afterFailures &&
    desired < fallback.instances
  ) {
    desired = fallback.instances;
    limit = "fallback";
  }

  // Zero is not a step of the ladder: everything down to 1 follows the policies, the last instance
  // the cooldown.
  const ladder = current > 0 && bounds.min === 0 ? Math.max(1, desired) : desired;
  const recommendations = [...history.recommendations, { atMs: nowMs, desired: ladder }];
  const stable = stabilise(recommendations, current, ladder, nowMs, rules);
  if (stable !== ladder) limit = "stabilization";
  const limited = rateLimit(current, stable, nowMs, rules, history.changes);
  if (limited !== stable) limit = "rate";
  desired = limited;

  if (current === 0 && desired > 0 && bounds.min === 0 && activeStreak < rules.activationSamples) {
    desired = 0;
    limit = "activation";
  }
  if (current === 1 && desired === 1 && bounds.min === 0 && !active && !missing) {
    if (nowMs - lastActiveMs >= rules.cooldownMs) desired = 0;
    else limit = "cooldown";
  }
  if (desired > bounds.max) {
    desired = bounds.max;
    limit = "max";
  }
  if (desired < bounds.min) {
    desired = bounds.min;
    limit = "min";
  }
  const change = desired - current;
  const keepMs = Math.max(
    rules.up.stabilizationMs,
    rules.down.stabilizationMs,
    ...[...rules.up.policies, ...rules.down.policies].map(({ periodMs }) => periodMs),
  );
  const isRecent = ({ atMs }: { atMs: number }): boolean => nowMs - atMs <= keepMs;
  return {
    verdict: {
      current,
      recommended,
      desired,
      limit,
      opinions,
      reason: explain(opinions, recommended, desired, limit),
    },
    history: {
      recommendations: recommendations.filter(isRecent),
      changes: [...history.changes, ...(change === 0 ? [] : [{ atMs: nowMs, change }])].filter(
        isRecent,
      ),
      lastActiveMs,
      activeStreak,
      failures,
    },
  };
}

const WITHIN_TOLERANCE = "(within tolerance)";

function interpret(
  { input, reading }: InputOpinion,
  current: number,
  rules: DecisionRules,
): Opinion {
  const base = {
    input,
    min: reading?.min ?? null,
    max: reading?.max ?? null,
    active: reading?.active ?? null,
  };
  if (reading === undefined) return { ...base, desired: null, reason: "metric missing" };
  const { desired, ratio, exact } = reading;
  if (ratio === undefined && desired === undefined) {
    return { ...base, desired: null, reason: reading.reason };
  }
  if (ratio === undefined && exact === true) {
    return { ...base, desired: Math.max(0, Math.ceil(desired ?? 0)), reason: reading.reason };
  }
  const change = ratio ?? (current === 0 ? Number.POSITIVE_INFINITY : (desired ?? 0) / current);
  const wanted =
    ratio === undefined
      ? Math.max(0, Math.ceil(desired ?? 0))
      : Math.ceil(Math.max(current, ratio > 0 ? 1 : 0) * ratio - 1e-9);
  const tolerance = change > 1 ? rules.up.tolerance : rules.down.tolerance;
  if (current > 0 && Math.abs(change - 1) <= tolerance + 1e-9) {
    return { ...base, desired: current, reason: `${reading.reason} ${WITHIN_TOLERANCE}` };
  }
  return { ...base, desired: wanted, reason: reading.reason };
}

function boundsOf(
  opinions: readonly Opinion[],
  rules: DecisionRules,
): { min: number; max: number } {
  const mins = opinions.map(({ min }) => min).filter((min) => min !== null);
  const maxes = opinions.map(({ max }) => max).filter((max) => max !== null);
  const max = Math.max(rules.min, Math.min(rules.max, ...maxes));
  return { min: Math.min(max, Math.max(rules.min, ...mins)), max };
}

/** Without an input that knows, there is work as long as somebody wants an instance. */
function isActive(
  opinions: readonly Opinion[],
  values: readonly number[],
  missing: boolean,
): boolean {
  const said = opinions.map(({ active }) => active).filter((active) => active !== null);
  if (said.length > 0) return said.includes(true);
  return missing || values.some((value) => value > 0);
}

function explain(
  opinions: readonly Opinion[],
  recommended: number,
  desired: number,
  limit: DecisionLimit,
): string {
  const leader = opinions.find((opinion) => opinion.desired === recommended);
  const why = leader === undefined ? "no input had a value" : `${leader.input}: ${leader.reason}`;
  return limit === "none" ? why : `${why}; ${limit} made it ${desired}`;
}
