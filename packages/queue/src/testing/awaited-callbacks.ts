import type { DeliveredCallback, RegisteredCallback } from "../gate/gate.ts";
import type { TaskRecord } from "./task-record.ts";

/** A callback on its way to its task. */
export interface CallbackInHand {
  jobId: string;
  dispatchKey: string;
  tokenHash: string;
  payload: string;
}

/**
 * Makes a running task await a callback, before whoever will call back is told. Registered again after
 * its run was cut off, the same dispatch keeps its deadline.
 */
export function registerCallback(
  task: TaskRecord,
  dispatch: { dispatchKey: string; tokenHash: string; deadlineAt: number },
  now: number,
): RegisteredCallback {
  const { dispatchKey, tokenHash, deadlineAt } = dispatch;
  const taken = task.callbacks.get(dispatchKey);
  if (taken) return { outcome: "answered", payload: taken.payload };
  if (task.awaited?.tokenHash !== tokenHash) task.awaited = { tokenHash, deadlineAt };
  else if (task.awaited.deadlineAt <= now) {
    task.awaited = undefined;
    return { outcome: "timed-out" };
  }
  return { outcome: "awaiting", deadlineAt: task.awaited.deadlineAt };
}

/** Takes a callback's payload in; its token works once. */
export function takeCallback(
  task: TaskRecord,
  { dispatchKey, tokenHash, payload }: CallbackInHand,
): DeliveredCallback {
  const taken = task.callbacks.get(dispatchKey);
  if (taken?.tokenHash === tokenHash) return { outcome: "repeated", payload: taken.payload };
  if (task.awaited?.tokenHash !== tokenHash) return { outcome: "refused" };
  task.callbacks.set(dispatchKey, { tokenHash, payload });
  task.awaited = undefined;
  return { outcome: "delivered" };
}
