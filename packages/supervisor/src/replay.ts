import type { JournalEntry } from "./event-journal.ts";
import type { InstanceState } from "./process/instance-state.ts";
import type { InstanceChange, SupervisorEvents } from "./supervisor-events.ts";

/** An instance as events tell of it. */
export interface ReplayedInstance {
  name: string;
  generation: number;
  state: InstanceState;
  reason: string;
  pid: number | undefined;
  /** When it came into this state, ISO 8601. */
  since: string;
}

/** A process as events tell of it. */
export interface ReplayedProcess {
  name: string;
  /** `undefined` when none of the events said. */
  desired: number | undefined;
  instances: ReplayedInstance[];
}

/**
 * What a supervisor looked like after some of its events: those of `supervisor.events()`, or of
 * `GET /api/v1/events` kept in a file. Pure, so that the moments before a fault can be gone through
 * one by one.
 *
 * @example
 * ```ts
 * import { type JournalEntry, replayEvents } from "@millrace/supervisor";
 *
 * declare const kept: JournalEntry[];
 * for (let count = 1; count <= kept.length; count++) console.log(replayEvents(kept.slice(0, count)));
 * ```
 */
export function replayEvents(entries: Iterable<JournalEntry>): ReplayedProcess[] {
  const processes = new Map<string, ReplayedProcess>();
  const instances = new Map<string, ReplayedInstance>();
  const processOf = (name: string): ReplayedProcess => {
    const known = processes.get(name) ?? { name, desired: undefined, instances: [] };
    processes.set(name, known);
    return known;
  };
  for (const { event, payload, time } of entries) {
    if (event === "process:scaled") {
      const { process, to } = payload as SupervisorEvents["process:scaled"];
      processOf(process).desired = to;
    } else if (event === "instance:changed") {
      const change = payload as InstanceChange;
      processOf(change.process);
      apply(instances, change, time);
    }
  }
  for (const [key, instance] of instances)
    processOf(key.split(" ")[0] ?? "").instances.push(instance);
  return [...processes.values()];
}

/** Two instances of one number are told apart by their generation, or by who came first. */
function apply(
  instances: Map<string, ReplayedInstance>,
  { process, instance: name, generation, pid, to, reason, from }: InstanceChange,
  since: string,
): void {
  const prefix = `${process} ${name} ${generation}`;
  const candidates = [...instances.keys()].filter((key) => key.startsWith(`${prefix} `));
  const key =
    candidates.find((candidate) => instances.get(candidate)?.state === from) ??
    `${prefix} ${since} ${instances.size}`;
  if (to === "stopped" && !reason.startsWith("completed")) instances.delete(key);
  else instances.set(key, { name, generation, state: to, reason, pid, since });
}
