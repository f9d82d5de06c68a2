/** Resources of one instance, its children included. */
export interface ResourceUsage {
  residentBytes: number;
  cpuSeconds: number;
}
