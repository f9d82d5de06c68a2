import { setTimeout as delay } from "node:timers/promises";

/** Waits `ms` milliseconds, or less when `signal` fires: it then returns false, never throws. */
export async function sleep(ms: number, signal?: AbortSignal): Promise<boolean> {
  try {
    await delay(ms, undefined, signal ? { signal } : {});
    return true;
  } catch {
    return false;
  }
}
