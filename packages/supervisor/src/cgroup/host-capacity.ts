import { availableCpus, availableMemory } from "./cgroup-limits.ts";

/** What `${CPU_COUNT}` and memory budgets are computed from. */
export interface HostCapacity {
  cpuCount: number;
  memoryBytes: number;
}

/** Processors and memory of the container or host. */
export function readHostCapacity(): HostCapacity {
  return { cpuCount: availableCpus(), memoryBytes: availableMemory() };
}
