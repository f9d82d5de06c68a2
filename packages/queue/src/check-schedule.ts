import { configInvalid, messageOf } from "@millrace/core";
import { defaultRepeatStrategy } from "bullmq";
import { assertNewTask } from "./check-new-task.ts";
import type { NewTask } from "./new-task.ts";
import { assertTenantId } from "./tenants/tenant-id.ts";

/**
 * When a schedule ticks: by a cron expression of five or six fields in an IANA time zone (UTC by default),
 * or every so many milliseconds.
 */
export type ScheduleTime = { cron: string; timezone?: string | undefined } | { everyMs: number };

/** @throws {@link MillraceError} `CONFIG_INVALID` for what cannot be scheduled. */
export function assertSchedule(
  scheduleId: string,
  time: ScheduleTime,
  task: Omit<NewTask<unknown>, "jobId">,
): void {
  if (!/^[\w.-]{1,128}$/.test(scheduleId)) {
    throw refused("scheduleId", "expected 1 to 128 letters, digits, _ . or -");
  }
  if ("everyMs" in time) {
    if (!Number.isSafeInteger(time.everyMs) || time.everyMs < 1) {
      throw refused("everyMs", "expected a whole number above 0");
    }
  } else assertCron(time);
  assertTenantId(task.tenantId);
  assertNewTask(task);
}

function assertCron({ cron, timezone = "UTC" }: { cron: string; timezone?: string | undefined }) {
  if (typeof cron !== "string" || cron.trim() === "") {
    throw refused("cron", "expected an expression of five or six fields, or everyMs instead");
  }
  try {
    defaultRepeatStrategy(Date.now(), { pattern: cron, tz: timezone });
  } catch (error) {
    throw refused("cron", `${JSON.stringify(cron)} in ${timezone}: ${messageOf(error)}`);
  }
}

function refused(path: string, problem: string) {
  return configInvalid("scheduler.upsert", [{ path, problem }]);
}
