/**
 * What one instance is doing: `starting` until it is ready; `unhealthy` runs but fails its
 * readiness probe; `draining` takes no new work; `stopping` was told to end; `backoff` and
 * `crashloop` wait to be started again; `failed` waits for an operator.
 */
export type InstanceState =
  | "starting"
  | "ready"
  | "unhealthy"
  | "draining"
  | "stopping"
  | "stopped"
  | "backoff"
  | "crashloop"
  | "failed";

const WAITING: readonly InstanceState[] = ["backoff", "crashloop", "failed", "stopped", "starting"];

const NEXT: Readonly<Record<InstanceState, readonly InstanceState[]>> = {
  starting: ["ready", "unhealthy", "draining", "stopping", ...WAITING],
  ready: ["unhealthy", "draining", "stopping", ...WAITING],
  unhealthy: ["ready", "draining", "stopping", ...WAITING],
  draining: ["stopping", "stopped", "starting", "failed"],
  // A run that was stopped because of its health goes on like a crashed one.
  stopping: ["stopped", "starting", "failed", "backoff", "crashloop"],
  stopped: ["starting"],
  backoff: ["starting", "stopped", "failed"],
  crashloop: ["starting", "stopped", "failed"],
  failed: ["starting", "stopped"],
};

/** Every state, in the order in which an instance passes them. */
export const INSTANCE_STATES = Object.keys(NEXT) as readonly InstanceState[];

/** Whether an instance may go from one state to the other. */
export function canMove(from: InstanceState, to: InstanceState): boolean {
  return NEXT[from].includes(to);
}

/** Whether an instance in this state has a process, or is about to. */
export function isAlive(state: InstanceState): boolean {
  return state === "starting" || state === "ready" || state === "unhealthy" || isEnding(state);
}

/** Whether an instance in this state is on its way out. */
export function isEnding(state: InstanceState): boolean {
  return state === "draining" || state === "stopping";
}

/** Whether an instance in this state waits to be started again by itself. */
export function isWaiting(state: InstanceState): boolean {
  return state === "backoff" || state === "crashloop";
}
