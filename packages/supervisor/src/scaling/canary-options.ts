import type { ProcessPatch } from "../options/merge-process-options.ts";
import type { ErrorCounts } from "./canary-verdict.ts";

/** What a verdict function says. */
export type CanaryVerdict = "promote" | "abort" | "continue";

/** What a verdict function gets. */
export interface CanaryView {
  process: string;
  /** Numbers of the instances that run the canary. */
  canary: readonly number[];
  stable: readonly number[];
  /** Time since the current step began, in milliseconds. */
  elapsedMs: number;
}

/** How a canary is tried out. */
export interface CanaryOptions {
  /** What is different about the canary. */
  patch: ProcessPatch;
  /** Canary instances of each step, as `[1, 3]`; after the last one everything is replaced. @default [1] */
  steps?: readonly number[] | undefined;
  /** How long each step lasts, in milliseconds. */
  holdMs: number;
  /** How often the verdict is asked for, in milliseconds. @default 1_000 */
  intervalMs?: number | undefined;
  /** Decides about a step; without a decision until its end the step passes. */
  verdict?: ((view: CanaryView) => CanaryVerdict | Promise<CanaryVerdict>) | undefined;
  /**
   * Requests and errors of both variants since the step began; compared by a sequential test, so
   * that looking again and again doesn't raise the odds of a false alarm.
   */
  errors?:
    | ((view: CanaryView) => Promise<{ canary: ErrorCounts; stable: ErrorCounts }>)
    | undefined;
}

/** How far a canary is. */
export interface CanaryStatus {
  process: string;
  state: "running" | "promoted" | "aborted";
  /** Canary instances now. */
  instances: number;
  step: number;
  steps: number;
  reason: string;
}
