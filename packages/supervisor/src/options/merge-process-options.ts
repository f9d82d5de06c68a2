import { parseOptions } from "@millrace/core";
import type { ProcessOptions } from "./process-options.ts";
import { processSchema, type ResolvedProcessOptions } from "./process-schema.ts";

/** Options that a new generation or a canary may change; everything else stays. */
export type ProcessPatch = Pick<
  ProcessOptions,
  "command" | "module" | "args" | "execArgv" | "env" | "cwd" | "health" | "stop" | "readyTimeoutMs"
>;

/**
 * The options with `patch` on top. `env` is merged by variable, `undefined` removes one; the rest is
 * replaced.
 *
 * @throws `CONFIG_INVALID`
 */
export function mergeProcessOptions(
  name: string,
  options: Readonly<ResolvedProcessOptions>,
  patch: ProcessPatch,
): ResolvedProcessOptions {
  const merged: Record<string, unknown> = {
    ...options,
    ...patch,
    env: { ...options.env, ...patch.env },
  };
  if (patch.command !== undefined) delete merged["module"];
  if (patch.module !== undefined) delete merged["command"];
  return parseOptions(processSchema, merged, `rollout of ${name}`);
}
