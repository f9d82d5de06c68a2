import type { Logger } from "@millrace/core";
import type { SupervisorHost } from "../host/supervisor-host.ts";
import type { InstanceReports } from "../supervisor-events.ts";
import type { Variables } from "./interpolate.ts";
import type { LaunchPlan } from "./launch-plan.ts";
import type { LaunchTurns } from "./launch-turns.ts";
import type { ProcessSpec } from "./process-spec.ts";
import type { RestartBudget } from "./restart-budget.ts";
import type { RestartWave } from "./restart-wave.ts";

/** What an instance needs from its process. */
export interface InstanceServices {
  plan(spec: ProcessSpec, number: number): LaunchPlan;
  variables(spec: ProcessSpec, number: number): Variables;
  budget: RestartBudget;
  wave: RestartWave;
  /** How many instances the process is to have. */
  siblings(): number;
  /** Shared by all processes of a supervisor. */
  turns: LaunchTurns;
  reports: InstanceReports;
  logger: Logger;
  host: SupervisorHost;
}
