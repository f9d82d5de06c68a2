import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { availableCpus, readCgroupLimits } from "../../src/cgroup/cgroup-limits.ts";

function layout(files: Record<string, string>): string {
  const root = mkdtempSync(join(tmpdir(), "millrace-cgroup-"));
  onTestFinished(() => rmSync(root, { recursive: true }));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), `${text}\n`);
  }
  return root;
}

const MIB = 2 ** 20;

describe("limits of the control group", () => {
  test.each<[string, Record<string, string>, number | undefined, number | undefined]>([
    [
      "v2 without limits",
      {
        "proc/self/cgroup": "0::/",
        "sys/fs/cgroup/cpu.max": "max 100000",
        "sys/fs/cgroup/memory.max": "max",
      },
      undefined,
      undefined,
    ],
    [
      "v2 in a container",
      {
        "proc/self/cgroup": "0::/",
        "sys/fs/cgroup/cpu.max": "150000 100000",
        "sys/fs/cgroup/memory.max": `${512 * MIB}`,
      },
      1.5,
      512 * MIB,
    ],
    [
      "v2 with the tighter limit on a parent",
      {
        "proc/self/cgroup": "0::/a/b",
        "sys/fs/cgroup/a/cpu.max": "50000 100000",
        "sys/fs/cgroup/a/b/cpu.max": "400000 100000",
        "sys/fs/cgroup/a/b/memory.max": "1000000",
        "sys/fs/cgroup/a/memory.max": "max",
      },
      0.5,
      1_000_000,
    ],
    [
      "v2 with the host's path in a container",
      { "proc/self/cgroup": "0::/../../kubepods/pod1", "sys/fs/cgroup/cpu.max": "200000 100000" },
      2,
      undefined,
    ],
    [
      "v1 with a quota",
      {
        "proc/self/cgroup": "4:memory:/x\n2:cpu,cpuacct:/x",
        "sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us": "100000",
        "sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us": "100000",
        "sys/fs/cgroup/memory/x/memory.limit_in_bytes": `${256 * MIB}`,
      },
      1,
      256 * MIB,
    ],
    [
      "v1 without limits",
      {
        "proc/self/cgroup": "1:cpu:/\n2:memory:/",
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
      },
      undefined,
      undefined,
    ],
    [
      "v1 with the tighter limit on a parent",
      {
        "proc/self/cgroup": "1:memory:/a/b",
        "sys/fs/cgroup/memory/a/memory.limit_in_bytes": "1000",
        "sys/fs/cgroup/memory/a/b/memory.limit_in_bytes": "2000",
      },
      undefined,
      1_000,
    ],
    [
      "v1 mounted the other way round",
      {
        "proc/self/cgroup": "2:cpuacct,cpu:/",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "50000",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
      },
      0.5,
      undefined,
    ],
    [
      "v1 and v2 side by side",
      {
        "proc/self/cgroup": "1:cpu:/\n0::/",
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "300000",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
        "sys/fs/cgroup/unified/memory.max": "5000",
      },
      3,
      5_000,
    ],
    ["no control groups at all", {}, undefined, undefined],
    [
      "nonsense",
      {
        "proc/self/cgroup": "0::/",
        "sys/fs/cgroup/cpu.max": "what",
        "sys/fs/cgroup/memory.max": "",
      },
      undefined,
      undefined,
    ],
  ])("%s", (_, files, cpus, memoryBytes) => {
    expect(readCgroupLimits(layout(files))).toEqual({ cpus, memoryBytes });
  });

  test("a quota of half a processor still is one", () => {
    const root = layout({ "proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "50000 100000" });
    expect(availableCpus(root)).toBe(1);
  });
});
