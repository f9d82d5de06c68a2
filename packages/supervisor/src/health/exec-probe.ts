import { spawn } from "node:child_process";
import { signalGroup } from "../process/process-group.ts";
import type { Probe } from "./probe.ts";

/** Where an exec probe runs. */
export interface ExecProbeContext {
  env: Record<string, string>;
  cwd: string | undefined;
  uid: number | undefined;
  gid: number | undefined;
}

/** Passes when a command exits with 0; a probe that takes too long is killed with its children. */
export function execProbe(command: readonly string[], context: ExecProbeContext): Probe {
  const [file = "", ...args] = command;
  return (signal) =>
    new Promise((resolve) => {
      const child = spawn(file, args, {
        env: context.env,
        stdio: "ignore",
        detached: true,
        ...(context.cwd === undefined ? {} : { cwd: context.cwd }),
        ...(context.uid === undefined ? {} : { uid: context.uid }),
        ...(context.gid === undefined ? {} : { gid: context.gid }),
      });
      const finish = (passed: boolean, reason?: string): void => {
        signal.removeEventListener("abort", onAbort);
        resolve({ passed, reason });
      };
      const onAbort = (): void => {
        if (child.pid !== undefined) signalGroup(child.pid, "SIGKILL");
        finish(false, `${file} did not end in time`);
      };
      signal.addEventListener("abort", onAbort);
      child.once("error", (error) => finish(false, `${file}: ${error.message}`));
      child.once("exit", (code, killedBy) =>
        finish(code === 0, `${file} ended with ${killedBy ?? `code ${code}`}`),
      );
    });
}
