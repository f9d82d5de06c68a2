import * as z from "zod";
import { strictOptions } from "./strict-options.ts";

/** When a hook runs. */
export type HookStage = "preStart" | "postStart" | "preStop" | "postStop";

/** A command that is run at a stage of an instance, or of the supervisor. */
export interface HookOptions {
  /** Program and arguments. No shell; variables are filled in. */
  command: string[];
  /** When an attempt is killed, with its children, in milliseconds. @default 30_000 */
  timeoutMs?: number | undefined;
  /** Attempts after the first. @default 0 */
  retries?: number | undefined;
  /** Pause between attempts, in milliseconds. @default 1_000 */
  retryDelayMs?: number | undefined;
  /** Whether a failure counts. @default "fail" for `preStart`, "warn" otherwise */
  onFailure?: "fail" | "warn" | undefined;
  /** Added to the environment; `MILLRACE_HOOK` names the stage. */
  env?: Record<string, string> | undefined;
}

/** Hooks of each instance of a process. Its `preStop` is part of `stop`, whose time it shares. */
export interface InstanceHooks {
  /** Before each start; a failure counts as a failed start. */
  preStart?: HookOptions | HookOptions[] | undefined;
  /** When an instance has become ready for the first time in a run. */
  postStart?: HookOptions | HookOptions[] | undefined;
  /** After each end, crashes included, before the next start. */
  postStop?: HookOptions | HookOptions[] | undefined;
}

/** Hooks of the supervisor itself, each run once. */
export interface SupervisorHooks {
  /** Before anything is started; a failure fails the start. */
  preStart?: HookOptions | HookOptions[] | undefined;
  /** When every process has been started. */
  postStart?: HookOptions | HookOptions[] | undefined;
  /** Before anything is stopped. */
  preStop?: HookOptions | HookOptions[] | undefined;
  /** When everything has been stopped. */
  postStop?: HookOptions | HookOptions[] | undefined;
}

const hookSchema = strictOptions({
  command: z.array(z.string()).min(1),
  timeoutMs: z.number().positive().default(30_000),
  retries: z.int().min(0).default(0),
  retryDelayMs: z.number().min(0).default(1_000),
  onFailure: z.enum(["fail", "warn"]).optional(),
  env: z.record(z.string(), z.string()).default({}),
});

const hooks = z
  .preprocess(
    (value) => (value === undefined || Array.isArray(value) ? value : [value]),
    z.array(hookSchema).default([]),
  )
  .default([]);

export const instanceHooksSchema = strictOptions({
  preStart: hooks,
  postStart: hooks,
  postStop: hooks,
}).prefault({});

export const supervisorHooksSchema = strictOptions({
  preStart: hooks,
  postStart: hooks,
  preStop: hooks,
  postStop: hooks,
}).prefault({});

/** {@link HookOptions} with every default filled in. */
export type ResolvedHook = z.output<typeof hookSchema>;
