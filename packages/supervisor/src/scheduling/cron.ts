import { messageOf } from "@millrace/core";
import { Cron } from "croner";

/** Why a cron expression or time zone can't be used; `undefined` if it can. */
export function cronProblem(expression: string, timezone: string): string | undefined {
  try {
    const cron = new Cron(expression, { timezone, paused: true });
    // Zones are only looked up when a date is computed.
    cron.nextRun();
    cron.stop();
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

/** The last time at which `expression` fired before or at `at`; `undefined` if it never did. */
export function lastRun(expression: string, timezone: string, at: Date): Date | undefined {
  return new Cron(expression, { timezone, paused: true }).previousRuns(1, at)[0];
}
