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
