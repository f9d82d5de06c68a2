import type { Logger } from "@millrace/core";
import type { AutoscaleDecision } from "../autoscale/decision.ts";
import type { EventJournal } from "../event-journal.ts";
import type { Fleet } from "../fleet.ts";
import type { ProcessPatch } from "../options/merge-process-options.ts";
import type { Operation } from "../scaling/operation.ts";
import type { RunHistory } from "../run-history.ts";
import type { Schedules } from "../schedules.ts";
import type { SupervisorViews } from "../supervisor-views.ts";

/** What the management API needs of a supervisor. */
export interface ApiBackend {
  readonly fleet: Fleet;
  readonly journal: EventJournal;
  readonly logger: Logger;
  readonly views: SupervisorViews;
  readonly schedules: Schedules;
  readonly runs: RunHistory;
  decisions(): AutoscaleDecision[];
  rollout(name: string, patch?: ProcessPatch): Operation;
  rollback(name: string): Operation;
  metricsText(): Promise<string>;
  /** A request was refused for who sent it, or how many. */
  countRefusal(reason: string): void;
}
