import type { Clock } from "../host/clock.ts";
import type { Probe } from "./probe.ts";

/** What a child with an IPC channel said so far. */
export interface ChildSignals {
  saidReady: boolean;
  /** Monotonic, in milliseconds; `undefined` before the first. */
  lastHeartbeatMs: number | undefined;
}

/** Passes once the child has called `ready()`. */
export function ipcReadyProbe(signals: ChildSignals): Probe {
  return () =>
    Promise.resolve({ passed: signals.saidReady, reason: "the child has not called ready()" });
}

/**
 * Fails when the child's last heartbeat is older than `timeoutMs`. Before the first one it passes: how
 * long a start may take is not its business.
 */
export function ipcHeartbeatProbe(signals: ChildSignals, timeoutMs: number, clock: Clock): Probe {
  return () => {
    const nowMs = clock.monotonicMs();
    const silentMs = nowMs - (signals.lastHeartbeatMs ?? nowMs);
    return Promise.resolve({
      passed: silentMs <= timeoutMs,
      reason: `no heartbeat for ${Math.round(silentMs)} ms`,
    });
  };
}
