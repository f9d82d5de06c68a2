import type { ResolvedProcessOptions } from "../options/process-schema.ts";
import type { RestartPolicy } from "./restart-policy.ts";

/** The options of one process in one generation: a rollout makes the next. */
export interface ProcessSpec {
  readonly name: string;
  /** 1 at first; each rollout adds one. */
  readonly generation: number;
  readonly options: Readonly<ResolvedProcessOptions>;
}

/** The restart policy of a process, by its type where none was given. */
export function restartModeOf({ options }: ProcessSpec): RestartPolicy["restart"] {
  // What was stopped by hand isn't judged here: nothing ends by itself and was stopped too.
  if (options.restart === "unless-stopped") return "always";
  if (options.restart !== undefined) return options.restart;
  return isOneshot(options) ? "never" : "always";
}

/** Whether a process is expected to end. */
function isOneshot(options: ResolvedProcessOptions): boolean {
  return options.type === "oneshot" || options.schedule !== undefined;
}

/** Whether instances have an IPC channel. */
export function hasIpc(options: ResolvedProcessOptions): boolean {
  return options.ipc ?? options.module !== undefined;
}
