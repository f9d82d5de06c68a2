import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { availableCpus, readCgroupLimits } from "../../src/cgroup/cgroup-limits.ts";
import { temporaryFolder } from "../fixtures/temporary-folder.ts";

function layout(files: Record<string, string>): string {
  const root = temporaryFolder();
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
      "Docker on v1: the host's path, the container's own group at the mount",
      {
        "proc/self/cgroup":
          "12:memory:/docker/4f1c\n11:cpu,cpuacct:/docker/4f1c\n1:name=systemd:/docker/4f1c\n0::/system.slice/containerd.service",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "250000",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": `${1024 * MIB}`,
      },
      2.5,
      1024 * MIB,
    ],
    [
      "Docker on v2 with --cgroupns=host",
      {
        "proc/self/cgroup": "0::/system.slice/docker-4f1c.scope",
        "sys/fs/cgroup/system.slice/docker-4f1c.scope/cpu.max": "100000 100000",
        "sys/fs/cgroup/system.slice/docker-4f1c.scope/memory.max": `${256 * MIB}`,
        "sys/fs/cgroup/system.slice/memory.max": "max",
      },
      1,
      256 * MIB,
    ],
    [
      "a Kubernetes pod on v2: the pod's limit below the container's",
      {
        "proc/self/cgroup": "0::/kubepods.slice/kubepods-burstable.slice/pod1.slice/cri-1.scope",
        "sys/fs/cgroup/kubepods.slice/cpu.max": "max 100000",
        "sys/fs/cgroup/kubepods.slice/memory.max": `${16_384 * MIB}`,
        "sys/fs/cgroup/kubepods.slice/kubepods-burstable.slice/pod1.slice/cpu.max": "50000 100000",
        "sys/fs/cgroup/kubepods.slice/kubepods-burstable.slice/pod1.slice/cri-1.scope/cpu.max":
          "200000 100000",
        "sys/fs/cgroup/kubepods.slice/kubepods-burstable.slice/pod1.slice/memory.max": `${512 * MIB}`,
      },
      0.5,
      512 * MIB,
    ],
    [
      "a Kubernetes pod on v1 with a guaranteed class",
      {
        "proc/self/cgroup": "5:memory:/kubepods/pod2/c1\n3:cpu,cpuacct:/kubepods/pod2/c1",
        "sys/fs/cgroup/cpu,cpuacct/kubepods/cpu.cfs_quota_us": "-1",
        "sys/fs/cgroup/cpu,cpuacct/kubepods/cpu.cfs_period_us": "100000",
        "sys/fs/cgroup/cpu,cpuacct/kubepods/pod2/cpu.cfs_quota_us": "400000",
        "sys/fs/cgroup/cpu,cpuacct/kubepods/pod2/cpu.cfs_period_us": "100000",
        "sys/fs/cgroup/cpu,cpuacct/kubepods/pod2/c1/cpu.cfs_quota_us": "300000",
        "sys/fs/cgroup/cpu,cpuacct/kubepods/pod2/c1/cpu.cfs_period_us": "100000",
        "sys/fs/cgroup/memory/kubepods/pod2/c1/memory.limit_in_bytes": `${2048 * MIB}`,
        "sys/fs/cgroup/memory/kubepods/memory.limit_in_bytes": "9223372036854771712",
      },
      3,
      2048 * MIB,
    ],
    [
      "a systemd service with CPUQuota=150% and MemoryMax below a slice of less",
      {
        "proc/self/cgroup": "0::/app.slice/worker.service",
        "sys/fs/cgroup/app.slice/worker.service/cpu.max": "150000 100000",
        "sys/fs/cgroup/app.slice/worker.service/memory.max": `${900 * MIB}`,
        "sys/fs/cgroup/app.slice/memory.max": `${600 * MIB}`,
        "sys/fs/cgroup/app.slice/cpu.max": "max 100000",
      },
      1.5,
      600 * MIB,
    ],
    [
      "rootless Podman below a user's session",
      {
        "proc/self/cgroup":
          "0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-9.scope/container",
        "sys/fs/cgroup/user.slice/user-1000.slice/memory.max": `${4096 * MIB}`,
        "sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-9.scope/container/memory.max": `${300 * MIB}`,
      },
      undefined,
      300 * MIB,
    ],
    [
      "LXC on v1 with a namespace of its own",
      {
        "proc/self/cgroup": "9:memory:/\n4:cpu,cpuacct:/",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "200000",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "50000",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": `${768 * MIB}`,
      },
      4,
      768 * MIB,
    ],
    [
      "a hybrid host whose v2 tree has no controllers",
      {
        "proc/self/cgroup":
          "4:memory:/user.slice\n2:cpu,cpuacct:/user.slice\n1:name=systemd:/user.slice/s1\n0::/user.slice/s1",
        "sys/fs/cgroup/unified/user.slice/s1/cgroup.procs": "1",
        "sys/fs/cgroup/cpu,cpuacct/user.slice/cpu.cfs_quota_us": "-1",
        "sys/fs/cgroup/cpu,cpuacct/user.slice/cpu.cfs_period_us": "100000",
        "sys/fs/cgroup/memory/user.slice/memory.limit_in_bytes": `${128 * MIB}`,
      },
      undefined,
      128 * MIB,
    ],
    [
      "v2 with a period of its own and a path with a colon",
      {
        "proc/self/cgroup": "0::/machine.slice/a:b",
        "sys/fs/cgroup/machine.slice/a:b/cpu.max": "20000 10000",
        "sys/fs/cgroup/machine.slice/a:b/memory.max": "0",
      },
      2,
      undefined,
    ],
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
