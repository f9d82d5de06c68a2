import { MillraceError } from "@millrace/core";
import type { AutoscaleInput } from "../../options/autoscale-options.ts";
import { cronProblem, lastRun } from "../../scheduling/cron.ts";

/** Bounds from a time on, until the next window of the list begins. */
export interface ScheduleWindow {
  /** When the window begins. */
  cron: string;
  /** Fewest instances, whatever other inputs say. */
  min: number;
  /** Most instances. @default no bound */
  max?: number | undefined;
  /** IANA name. @default "UTC" */
  timezone?: string | undefined;
}

/**
 * Sets bounds by the time of day or week: the window that began last counts.
 *
 * @throws {@link MillraceError} `CONFIG_INVALID` for a cron expression or time zone that is none.
 * @example
 * ```ts
 * import { schedule } from "@millrace/supervisor";
 *
 * const officeHours = schedule([
 *   { cron: "0 9 * * *", min: 10, timezone: "Europe/Copenhagen" },
 *   { cron: "0 18 * * *", min: 2, max: 2, timezone: "Europe/Copenhagen" },
 * ]);
 * console.log(officeHours.name);
 * ```
 */
export function schedule(windows: readonly ScheduleWindow[]): AutoscaleInput {
  for (const { cron, timezone = "UTC" } of windows) {
    const problem = cronProblem(cron, timezone);
    if (problem !== undefined) {
      throw new MillraceError("CONFIG_INVALID", `schedule(): ${JSON.stringify(cron)}: ${problem}`);
    }
  }
  return {
    name: "schedule",
    read({ nowMs }) {
      const window = currentWindow(windows, nowMs);
      if (window === undefined) return { reason: "no window has begun" };
      const { min, max, cron } = window;
      // The floor is also an opinion, so that a process with no other input follows the clock.
      return { desired: min, exact: true, min, max, reason: `window ${cron}` };
    },
  };
}

function currentWindow(
  windows: readonly ScheduleWindow[],
  nowMs: number,
): ScheduleWindow | undefined {
  let newest: { window: ScheduleWindow; beganMs: number } | undefined;
  for (const window of windows) {
    // A second ahead, because the search ends before the moment that it starts from.
    const began = lastRun(window.cron, window.timezone ?? "UTC", new Date(nowMs + 1_000));
    if (began === undefined) continue;
    if (newest === undefined || began.getTime() > newest.beganMs) {
      newest = { window, beganMs: began.getTime() };
    }
  }
  return newest?.window;
}
