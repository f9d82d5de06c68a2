import { MillraceError } from "@millrace/core";
import type { SupervisorErrorCode } from "../errors.ts";
import { sleep } from "../host/clock.ts";
import type { SupervisorHost } from "../host/supervisor-host.ts";
import type { HookStage, ResolvedHook } from "../options/hook-options.ts";
import type { CommandOutcome, CommandPlace } from "./run-command.ts";

/** One hook that was run, all its attempts together. */
export interface HookRun {
  /** `undefined` for a hook of the supervisor itself. */
  process: string | undefined;
  instance: string | undefined;
  stage: HookStage;
  command: readonly string[];
  outcome: CommandOutcome["outcome"];
  /** One line on what went wrong. */
  reason: string | undefined;
  attempts: number;
  durationMs: number;
}

/** Whose hooks they are and who hears of them. */
export interface HookOwner {
  process: string | undefined;
  instance: string | undefined;
  place: CommandPlace;
  onHook(run: HookRun): void;
  host: SupervisorHost;
}

/**
 * Runs the hooks of one stage one after the other.
 *
 * @throws {@link MillraceError} `SUPERVISOR_HOOK_FAILED` at the first one that fails for good, unless
 * its `onFailure` is `"warn"`; `signal.reason` when aborted.
 */
export async function runHooks(
  stage: HookStage,
  hooks: readonly ResolvedHook[],
  owner: HookOwner,
  signal: AbortSignal,
): Promise<void> {
  for (const hook of hooks) {
    const run = await runWithRetries(stage, hook, owner, signal);
    owner.onHook(run);
    signal.throwIfAborted();
    // What comes before a start decides about it; afterwards nothing is left to prevent.
    const policy = hook.onFailure ?? (stage === "preStart" ? "fail" : "warn");
    if (run.outcome === "succeeded" || policy === "warn") continue;
    throw new MillraceError<SupervisorErrorCode>(
      "SUPERVISOR_HOOK_FAILED",
      `the ${stage} hook ${hook.command[0]} failed after ${run.attempts} attempts: ${run.reason}; ` +
        'onFailure: "warn" lets it fail',
      { details: { stage, command: hook.command[0], attempts: run.attempts } },
    );
  }
}

async function runWithRetries(
  stage: HookStage,
  hook: ResolvedHook,
  { process, instance, place, host }: HookOwner,
  signal: AbortSignal,
): Promise<HookRun> {
  const startedAt = host.clock.monotonicMs();
  const env = { ...place.env, ...hook.env, MILLRACE_HOOK: stage };
  let attempts = 0;
  for (;;) {
    attempts++;
    const result = await host.runCommand(hook.command, { ...place, env }, hook.timeoutMs, signal);
    if (result.outcome === "succeeded" || signal.aborted || attempts > hook.retries) {
      const durationMs = host.clock.monotonicMs() - startedAt;
      return { process, instance, stage, command: hook.command, ...result, attempts, durationMs };
    }
    await sleep(host.clock, hook.retryDelayMs, signal);
  }
}
