import type { SupervisorHost } from "../host/supervisor-host.ts";
import type { Run } from "./run.ts";

/** Until when what is asked to end may take its time. */
export interface Patience {
  passed(): boolean;
  pause(ms: number): Promise<void>;
}

/** None: SIGKILL at once. */
export const NO_PATIENCE: Patience = { passed: () => true, pause: () => Promise.resolve() };

const POLL_MS = 20;

/**
 * Ends what a run has started and what is in its group no more, as a daemon: by `signal`, and by
 * SIGKILL when patience is over. Call it once the group is gone; resolves with whether it took
 * SIGKILL, when nothing is left.
 */
export async function endStrays(
  run: Run,
  host: SupervisorHost,
  signal: NodeJS.Signals,
  patience: Patience,
): Promise<boolean> {
  let killed = false;
  if (run.id === undefined) return killed;
  for (;;) {
    const strays = await host.findStrays(run.id);
    if (strays.length === 0) return killed;
    if (!patience.passed()) for (const stray of strays) stray.signal(signal);
    while (!patience.passed() && strays.some((stray) => stray.isAlive())) {
      await patience.pause(POLL_MS);
    }
    for (const stray of strays) {
      if (!stray.isAlive()) continue;
      stray.signal("SIGKILL");
      killed = true;
    }
  }
}
