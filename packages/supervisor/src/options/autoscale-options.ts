import * as z from "zod";
import { strictOptions } from "./strict-options.ts";

/** What an input is told when it is asked. */
export interface AutoscaleContext {
  /** Name of the process. */
  process: string;
  /** Unix time in milliseconds. */
  nowMs: number;
  /** Instances that exist now. */
  current: number;
  /** Of them, how many are ready. */
  ready: number;
  /** Sum of the busy counts that instances reported. */
  busy: number;
  /** Measured median time from spawn to ready, in milliseconds. */
  startupMs: number;
  /** Processor time of all instances since the last reading, in cores; `undefined` if unknown. */
  cpuCores: number | undefined;
  /** Mean event-loop utilisation that ready instances reported, in [0, 1]; `undefined` if none did. */
  eventLoopUtilisation: number | undefined;
  /** Resident memory of all instances, in bytes; `undefined` if unknown. */
  residentBytes: number | undefined;
}

/**
 * What an input thinks: a number of instances, a ratio of the measured value to its target, or
 * bounds for the others. `active` decides about zero apart from scaling.
 */
export interface AutoscaleReading {
  /** Instances that this input wants. */
  desired?: number | undefined;
  /** `desired` is meant to the last instance: no tolerance. */
  exact?: boolean | undefined;
  /** Measured value by target; 1 is on target. Scales the current count. */
  ratio?: number | undefined;
  /** Bounds that this input sets for the whole decision. */
  min?: number | undefined;
  max?: number | undefined;
  /** Whether there is any work; with `false` from every input the process may go to zero. */
  active?: boolean | undefined;
  /** One line for a person: the measured value. */
  reason: string;
}

/** One opinion on how many instances there should be. */
export interface AutoscaleInput {
  readonly name: string;
  /** `undefined` or a rejection means that the metric is missing: never scales down. */
  read(
    context: AutoscaleContext,
  ): AutoscaleReading | undefined | Promise<AutoscaleReading | undefined>;
}

/** At most so many instances, or percent of the current ones, per period. */
export interface RatePolicy {
  type: "percent" | "instances";
  /** Instances, or percent. */
  value: number;
  /** In milliseconds. */
  periodMs: number;
}

/** How fast one direction may go. */
export interface ScalingRules {
  /** Window whose most careful recommendation counts, in milliseconds. */
  stabilizationMs?: number | undefined;
  /** The policy that allows most counts. */
  policies?: RatePolicy[] | undefined;
  /** Relative change that is ignored. @default 0.1 */
  tolerance?: number | undefined;
}

/** When and how an autoscaler changes the number of instances. */
export interface AutoscaleOptions {
  /** Who is asked; the largest opinion counts. At least one. */
  inputs: AutoscaleInput[];
  /** @default minScale of the process */
  min?: number | undefined;
  /** @default maxScale of the process */
  max?: number | undefined;
  /** Pause between decisions, in milliseconds. @default 2_000 */
  intervalMs?: number | undefined;
  /** @default no window, policies: 100 percent or 4 instances per 5_000 ms */
  up?: ScalingRules | undefined;
  /** @default window 60_000 ms, policies: 100 percent per 15_000 ms */
  down?: ScalingRules | undefined;
  /** Idle time before the last instance goes, in milliseconds. @default 60_000 */
  cooldownMs?: number | undefined;
  /** Active readings in a row that it takes to leave zero. @default 1 */
  activationSamples?: number | undefined;
  /** Instances to hold at least, once every input has failed `afterFailures` times in a row. @default none */
  fallback?: { afterFailures: number; instances: number } | undefined;
  /** Decide and report, but change nothing. @default false */
  dryRun?: boolean | undefined;
}

const inputSchema = z.custom<AutoscaleInput>(
  (value) => typeof value === "object" && value !== null && "read" in value && "name" in value,
  "expected an input such as cpu(), queueDepth(queue) or { name, read() }",
);

const rulesShape = {
  policies: z
    .array(
      strictOptions({
        type: z.enum(["percent", "instances"]),
        value: z.number().positive(),
        periodMs: z.number().positive(),
      }),
    )
    .optional(),
  tolerance: z.number().min(0).max(1).default(0.1),
};

const UP_POLICIES: RatePolicy[] = [
  { type: "percent", value: 100, periodMs: 5_000 },
  { type: "instances", value: 4, periodMs: 5_000 },
];
const DOWN_POLICIES: RatePolicy[] = [{ type: "percent", value: 100, periodMs: 15_000 }];

const fullSchema = strictOptions({
  inputs: z.array(inputSchema).min(1),
  min: z.int().min(0).optional(),
  max: z.int().min(0).optional(),
  intervalMs: z.number().positive().default(2_000),
  up: strictOptions({
    ...rulesShape,
    stabilizationMs: z.number().min(0).default(0),
    policies: rulesShape.policies.default(UP_POLICIES),
  }).prefault({}),
  down: strictOptions({
    ...rulesShape,
    stabilizationMs: z.number().min(0).default(60_000),
    policies: rulesShape.policies.default(DOWN_POLICIES),
  }).prefault({}),
  cooldownMs: z.number().min(0).default(60_000),
  activationSamples: z.int().positive().default(1),
  fallback: strictOptions({
    afterFailures: z.int().positive(),
    instances: z.int().min(0),
  }).optional(),
  dryRun: z.boolean().default(false),
}).refine(({ min, max }) => min === undefined || max === undefined || min <= max, {
  path: ["min"],
  error: "min must not be above max",
});

export const autoscaleSchema = z.preprocess(
  (value) => (Array.isArray(value) ? { inputs: value } : value),
  fullSchema,
);

export type ResolvedAutoscaleOptions = z.output<typeof fullSchema>;
