import { type ChildProcess, spawn } from "node:child_process";
import { messageOf } from "@millrace/core";
import { signalGroup } from "./process-group.ts";
import { unrefChild } from "./unref-child.ts";

/** Where a command of an instance runs: its environment, folder and user. */
export interface CommandPlace {
  env: Record<string, string | undefined>;
  cwd: string | undefined;
  uid: number | undefined;
  gid: number | undefined;
}

/** How a command ended. */
export interface CommandOutcome {
  outcome: "succeeded" | "failed" | "timed-out" | "aborted";
  /** One line on what went wrong. */
  reason: string | undefined;
}

const MAX_ERROR_LENGTH = 500;

/** Runs a command without a shell; at the timeout, or when `signal` fires, its whole group is killed. */
export function runCommand(
  command: readonly string[],
  place: CommandPlace,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<CommandOutcome> {
  const [file = "", ...args] = command;
  return new Promise((resolve) => {
    let child: ChildProcess;
    try {
      signal.throwIfAborted();
      child = spawn(file, args, {
        env: place.env,
        stdio: ["ignore", "ignore", "pipe"],
        detached: true,
        ...(place.cwd === undefined ? {} : { cwd: place.cwd }),
        ...(place.uid === undefined ? {} : { uid: place.uid }),
        ...(place.gid === undefined ? {} : { gid: place.gid }),
      });
    } catch (error) {
      resolve({ outcome: signal.aborted ? "aborted" : "failed", reason: messageOf(error) });
      return;
    }
    unrefChild(child);
    let complaint = "";
    child.stderr?.on("data", (chunk: Buffer) => {
      complaint = (complaint + chunk.toString()).slice(-MAX_ERROR_LENGTH);
    });
    const finish = (outcome: CommandOutcome["outcome"], reason?: string): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      child.stderr?.destroy();
      resolve({ outcome, reason });
    };
    const end = (outcome: CommandOutcome["outcome"], reason: string): void => {
      if (child.pid !== undefined) signalGroup(child.pid, "SIGKILL");
      finish(outcome, reason);
    };
    const onAbort = (): void => end("aborted", `${file} was cut short`);
    const timer = setTimeout(
      () => end("timed-out", `${file} took more than ${timeoutMs} ms`),
      timeoutMs,
    ).unref();
    signal.addEventListener("abort", onAbort);
    child.once("error", (error) => finish("failed", `${file}: ${error.message}`));
    child.once("exit", (code, killedBy) => {
      if (code === 0) finish("succeeded");
      else {
        const said = complaint.trim() === "" ? "" : `: ${complaint.trim()}`;
        finish("failed", `${file} ended with ${killedBy ?? `code ${code}`}${said}`);
      }
    });
  });
}
