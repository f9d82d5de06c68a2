import { readFileSync } from "node:fs";
import { availableParallelism, totalmem } from "node:os";
import { join } from "node:path";

/** What a control group allows, ancestors included; `undefined` is no limit. */
export interface CgroupLimits {
  /** Cores, as 1.5. */
  cpus: number | undefined;
  memoryBytes: number | undefined;
}

// cgroup v1 says "no limit" with a page-aligned number near 2^63.
const NO_LIMIT_BYTES = 2 ** 60;

/**
 * Processors this process may use, at least 1: the quota of its control group, rounded up, when that
 * is below what the scheduler offers. `os.availableParallelism()` alone misses cgroup v1 quotas.
 */
export function availableCpus(root = "/"): number {
  const { cpus } = readCgroupLimits(root);
  const offered = availableParallelism();
  return Math.max(1, cpus === undefined ? offered : Math.min(offered, Math.ceil(cpus)));
}

/** Memory this process may use, in bytes: the limit of its control group or the host's memory. */
export function availableMemory(root = "/"): number {
  return Math.min(readCgroupLimits(root).memoryBytes ?? Number.POSITIVE_INFINITY, totalmem());
}

/** Reads the limits of the control group of this process, v2 and v1; the least of all ancestors counts. */
export function readCgroupLimits(root = "/"): CgroupLimits {
  const cpus: number[] = [];
  const memory: number[] = [];
  for (const { controllers, path } of readMembership(root)) {
    if (controllers.length === 0) {
      for (const mount of ["sys/fs/cgroup", "sys/fs/cgroup/unified"]) {
        for (const folder of ancestors(join(root, mount), path)) {
          pushDefined(cpus, parseCpuMax(readText(join(folder, "cpu.max"))));
          pushDefined(memory, parseBytes(readText(join(folder, "memory.max"))));
        }
      }
    }
    if (controllers.includes("cpu")) {
      for (const folder of v1Folders(root, controllers, "cpu", path)) {
        const quota = Number(readText(join(folder, "cpu.cfs_quota_us")));
        const period = Number(readText(join(folder, "cpu.cfs_period_us")));
        if (quota > 0 && period > 0) cpus.push(quota / period);
      }
    }
    if (controllers.includes("memory")) {
      for (const folder of v1Folders(root, controllers, "memory", path)) {
        pushDefined(memory, parseBytes(readText(join(folder, "memory.limit_in_bytes"))));
      }
    }
  }
  return {
    cpus: cpus.length > 0 ? Math.min(...cpus) : undefined,
    memoryBytes: memory.length > 0 ? Math.min(...memory) : undefined,
  };
}

function readMembership(root: string): Array<{ controllers: string[]; path: string }> {
  const text = readText(join(root, "proc/self/cgroup")) ?? "";
  return text
    .split("\n")
    .map((line) => /^\d+:([^:]*):(.*)$/.exec(line))
    .filter((match) => match !== null)
    .map((match) => ({
      controllers: (match[1] ?? "").split(",").filter((name) => name !== ""),
      path: match[2] ?? "/",
    }));
}

function v1Folders(
  root: string,
  controllers: readonly string[],
  controller: string,
  path: string,
): string[] {
  const mounts = [controllers.join(","), controller, controllers.toReversed().join(",")];
  return [...new Set(mounts)].flatMap((mount) =>
    ancestors(join(root, "sys/fs/cgroup", mount), path),
  );
}

/**
 * The group's folder and those above it up to the mount. Inside a container the path may be the
 * host's and not exist below the mount: what doesn't exist limits nothing, and the mount itself is
 * then the container's group.
 */
function ancestors(mount: string, path: string): string[] {
  const parts = path.split("/").filter((part) => part !== "" && part !== "..");
  const folders = [mount];
  for (const part of parts) folders.push(join(folders.at(-1) ?? mount, part));
  return folders.toReversed();
}

function parseCpuMax(text: string | undefined): number | undefined {
  const [quota, period = "100000"] = (text ?? "").split(/\s+/);
  const cpus = Number(quota) / Number(period);
  return cpus > 0 && Number.isFinite(cpus) ? cpus : undefined;
}

function parseBytes(text: string | undefined): number | undefined {
  const bytes = Number(text?.trim() || Number.NaN);
  return bytes > 0 && bytes < NO_LIMIT_BYTES ? bytes : undefined;
}

function pushDefined(list: number[], value: number | undefined): void {
  if (value !== undefined) list.push(value);
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return undefined;
  }
}
