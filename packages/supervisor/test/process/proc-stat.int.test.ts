import { spawn } from "node:child_process";
import { readFileSync, copyFileSync } from "node:fs";
import { join } from "node:path";
import { waitFor } from "@millrace/core/testing";
import { expect, onTestFinished, test } from "vitest";
import { readChildPids, readProcStat } from "../../src/process/proc-stat.ts";
import { sampleTree } from "../../src/process/resource-sampler.ts";
import { temporaryFolder } from "../fixtures/temporary-folder.ts";

test("a process is read right, whatever it is called", async () => {
  const folder = temporaryFolder();
  const program = join(folder, "a) Z 1 (b");
  copyFileSync("/bin/sleep", program);
  const child = spawn(program, ["1000"], { detached: true });
  onTestFinished(() => void child.kill("SIGKILL"));
  const pid = Number(child.pid);
  const stat = await waitFor(() => {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    return text.includes("a) Z 1 (b") ? text : undefined;
  });
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  expect(readProcStat(pid)).toMatchObject({
    pid,
    parentPid: process.pid,
    groupId: pid,
    startTicks: Number(fields[19]),
  });
  expect(["S", "R"]).toContain(readProcStat(pid)?.state);
  expect(readProcStat(2 ** 22 + 1)).toBeUndefined();
});

test("a sample counts children and their children", async () => {
  const child = spawn("sh", ["-c", "sh -c 'sleep 1000 & sleep 1000' & wait"], { detached: true });
  const pid = Number(child.pid);
  onTestFinished(() => void process.kill(-pid, "SIGKILL"));
  const inner = await waitFor(() => {
    const [first = 0] = readChildPids(pid);
    return readChildPids(first).length === 2 ? first : undefined;
  });
  const pids = [pid, inner, ...readChildPids(inner)];
  const pages = pids.reduce((sum, one) => sum + (readProcStat(one)?.residentPages ?? 0), 0);
  expect(sampleTree(pid)?.residentBytes).toBe(pages * 4_096);
  expect(pages).toBeGreaterThan((readProcStat(pid)?.residentPages ?? 0) * 2);
});
