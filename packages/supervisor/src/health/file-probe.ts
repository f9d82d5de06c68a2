import { stat } from "node:fs/promises";
import type { Probe } from "./probe.ts";

// File systems keep times to the millisecond at best, some to the second.
const CLOCK_SLACK_MS = 1_000;

/** Passes while a file exists that was written since the run began: one left by its predecessor lies. */
export function fileProbe(path: string, startedAtMs: number): Probe {
  return async () => {
    try {
      const { mtimeMs } = await stat(path);
      if (mtimeMs >= startedAtMs - CLOCK_SLACK_MS) return { passed: true };
      return { passed: false, reason: `${path} is older than the instance` };
    } catch {
      return { passed: false, reason: `${path} does not exist` };
    }
  };
}
