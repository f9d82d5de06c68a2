import { INSTANCE_STATES, type InstanceState } from "./process/instance-state.ts";
import type { ResourceUsage } from "./process/resource-usage.ts";
import type { Instance } from "./process/instance.ts";
import { instancePort } from "./process/launch-plan.ts";
import type { ManagedProcess } from "./scaling/managed-process.ts";

/** One instance, for people and programs. */
export interface InstanceStatus {
  /** As `web-3`. */
  name: string;
  /** From 1; a freed number is used again. */
  number: number;
  /** Which version of the process's options it runs, from 1. */
  generation: number;
  state: InstanceState;
  /** Why it is in that state. */
  reason: string;
  /** `null` when nothing runs. */
  pid: number | null;
  /** Seconds since it was started; 0 when it doesn't run. */
  uptime: number;
  /** Restarts so far, whatever the reason. */
  restarts: number;
  /** Its own, or the shared one. */
  port: number | null;
  /** Jobs in hand, where the child reports them. */
  busy: number | null;
  /** Resident memory, children included; `null` when unknown. */
  residentBytes: number | null;
  /** Processor time, children included; `null` when unknown. */
  cpuSeconds: number | null;
}

/** What most of a process's instances do. */
export type ProcessState = "running" | "starting" | "degraded" | "stopping" | "stopped" | "failed";

/** One process with its instances. */
export interface ProcessStatus {
  name: string;
  state: ProcessState;
  /** Instances that run or wait to run again. */
  scale: number;
  /** Instances that are wanted. */
  desired: number;
  minScale: number;
  maxScale: number;
  /** Version of its options, from 1; each rollout makes one. */
  generation: number;
  /** Port of the listener that its instances share. */
  port: number | null;
  /** Number of instances by state. */
  counts: Record<InstanceState, number>;
  instances: InstanceStatus[];
}

/** Describes a process; `usage` says what its instances take, where that is known. */
export function describeProcess(
  process: ManagedProcess,
  usage: (instance: Instance) => ResourceUsage | undefined,
): ProcessStatus {
  const { minScale, maxScale } = process.spec.options;
  const instances = process.all.map((instance) =>
    describeInstance(instance, process, usage(instance)),
  );
  const counts = Object.fromEntries(INSTANCE_STATES.map((state) => [state, 0])) as Record<
    InstanceState,
    number
  >;
  for (const { state } of instances) counts[state]++;
  return {
    name: process.name,
    state: summarise(process, counts),
    scale: process.current,
    desired: process.desired,
    minScale,
    maxScale,
    generation: process.spec.generation,
    port: process.listenPort ?? null,
    counts,
    instances,
  };
}

function describeInstance(
  instance: Instance,
  process: ManagedProcess,
  usage: ResourceUsage | undefined,
): InstanceStatus {
  return {
    name: instance.id,
    number: instance.number,
    generation: instance.spec.generation,
    state: instance.state,
    reason: instance.reason,
    pid: instance.pid ?? null,
    uptime: Math.floor(instance.uptimeMs / 1_000),
    restarts: instance.restarts.total,
    port: instancePort(instance.spec, instance.number) ?? process.listenPort ?? null,
    busy: instance.busy ?? null,
    residentBytes: usage?.residentBytes ?? null,
    cpuSeconds: usage?.cpuSeconds ?? null,
  };
}

function summarise(process: ManagedProcess, counts: Record<InstanceState, number>): ProcessState {
  const { active, desired } = process;
  const ready = active.filter(({ state }) => state === "ready").length;
  if (active.length === 0) {
    if (counts.draining + counts.stopping > 0) return "stopping";
    return counts.failed > 0 ? "failed" : "stopped";
  }
  if (ready >= desired && ready > 0) return "running";
  return active.every(({ state }) => state === "starting" || state === "ready")
    ? "starting"
    : "degraded";
}
