import type { Probe } from "./probe.ts";

/** What a child with an IPC channel said so far. */
export interface ChildSignals {
  saidReady: boolean;
  /** Monotonic, in milliseconds; `undefined` before the first. */
  lastHeartbeatMs: number | undefined;
  startedMonotonicMs: number;
}

/** Passes once the child has called `ready()`. */
export function ipcReadyProbe(signals: ChildSignals): Probe {
  return () =>
    Promise.resolve({ passed: signals.saidReady, reason: "the child has not called ready()" });
}

/** Fails when the child's last heartbeat is older than `timeoutMs`. */
export function ipcHeartbeatProbe(signals: ChildSignals, timeoutMs: number): Probe {
  return () => {
    const since = signals.lastHeartbeatMs ?? signals.startedMonotonicMs;
    const silentMs = performance.now() - since;
    return Promise.resolve({
      passed: silentMs <= timeoutMs,
      reason: `no heartbeat for ${Math.round(silentMs)} ms`,
    });
  };
}
