import type { Logger } from "@millrace/core";
import type { AutoscaleDecision } from "../autoscale/decision.ts";
import type { EventJournal } from "../event-journal.ts";
import type { Explanation } from "../explain.ts";
import type { Fleet } from "../fleet.ts";
import type { LogEntry } from "../logs/log-ring.ts";
import type { ProcessPatch } from "../options/merge-process-options.ts";
import type { Operation } from "../scaling/operation.ts";
import type { Readiness } from "../readiness.ts";
import type { RunHistory } from "../run-history.ts";
import type { Schedules } from "../schedules.ts";
import type { ProcessStatus } from "../supervisor-status.ts";

/** What the management API needs of a supervisor. */
export interface ApiBackend {
  readonly fleet: Fleet;
  readonly journal: EventJournal;
  readonly logger: Logger;
  statuses(): ProcessStatus[];
  statusOf(name: string): ProcessStatus;
  readonly schedules: Schedules;
  readonly runs: RunHistory;
  explain(name: string): Explanation;
  readiness(): Readiness;
  logs(name: string, limit: number): LogEntry[];
  decisions(): AutoscaleDecision[];
  rollout(name: string, patch?: ProcessPatch): Operation;
  rollback(name: string): Operation;
  metricsText(): Promise<string>;
  /** A request was refused for who sent it, or how many. */
  countRefusal(reason: string): void;
}
