import { rateLimitWaitMs } from "./rate-limit-wait.ts";

/** Why a run ended without ending its task. */
export type PutOffReason =
  | { kind: "defer"; delayMs: number }
  | { kind: "shutdown" }
  | { kind: "children" }
  | { kind: "callback"; dispatchKey: string; deadlineAt: number; releaseSlot: boolean };

/** Thrown through a handler to end a run without ending its task. */
export class PutOff extends Error {
  readonly reason: PutOffReason;

  constructor(reason: PutOffReason) {
    super(`task put off: ${reason.kind}`);
    this.name = "PutOff";
    this.reason = reason;
  }
}

/** A rate limit that a handler lets pass puts its task off: it is not the task's failure. */
export function putOffReason(error: unknown): PutOffReason | undefined {
  if (error instanceof PutOff) return error.reason;
  const delayMs = rateLimitWaitMs(error);
  return delayMs === undefined ? undefined : { kind: "defer", delayMs };
}
