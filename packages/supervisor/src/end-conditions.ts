import { MillraceError } from "@millrace/core";
import type { SupervisorErrorCode } from "./errors.ts";
import type { Fleet } from "./fleet.ts";
import type { InstanceChange } from "./supervisor-events.ts";

/** The error that ends the supervisor, when an essential instance has failed for good. */
export function essentialFailure(
  fleet: Fleet,
  change: InstanceChange,
): MillraceError<SupervisorErrorCode> | undefined {
  const { essential } = fleet.process(change.process).spec.options;
  if (essential === false || change.to !== "failed") return undefined;
  return new MillraceError<SupervisorErrorCode>(
    "SUPERVISOR_ESSENTIAL_FAILED",
    `${change.instance} is essential and has failed: ${change.reason}`,
    {
      details: {
        process: change.process,
        instance: change.instance,
        ...(essential === true ? {} : { exitCode: essential.exitCode }),
      },
    },
  );
}

/** Whether a change was the last one: nothing runs and nothing will. */
export function isAllOver(fleet: Fleet, { to }: InstanceChange): boolean {
  if (to !== "stopped" && to !== "failed") return false;
  return [...fleet.processes.values()].every(
    ({ active, retiring }) => active.length === 0 && retiring.size === 0,
  );
}
