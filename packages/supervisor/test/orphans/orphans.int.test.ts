import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { waitFor } from "@millrace/core/testing";
import { describe, expect, onTestFinished, test } from "vitest";
import { listPids, readEnvironment } from "../../src/process/proc-stat.ts";
import { execArgv, fixture, nodeCommand } from "../fixtures/fixture.ts";

function spawnSupervisor(options: object, mark: string): ChildProcess {
  const child = spawn(
    process.execPath,
    [...execArgv, fixture("run-supervisor.ts"), JSON.stringify(options)],
    { stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, ORPHAN_TEST: mark } },
  );
  onTestFinished(() => void child.kill("SIGKILL"));
  return child;
}

function marked(mark: string, except: number | undefined): number[] {
  return listPids().filter(
    (pid) => pid !== except && readEnvironment(pid).get("ORPHAN_TEST") === mark && isAlive(pid),
  );
}

function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return stat.slice(stat.lastIndexOf(")") + 2, stat.lastIndexOf(")") + 3) !== "Z";
  } catch {
    return false;
  }
}

describe("a supervisor killed with SIGKILL", () => {
  test.each([0, 30, 120])(
    "leaves no child, grandchild or daemon behind, killed %i ms after its first child",
    async (afterMs) => {
      const mark = `orphans-${process.pid}-${afterMs}`;
      const supervisor = spawnSupervisor(
        {
          processes: {
            plain: { command: ["sleep", "1000"], scale: 10 },
            node: { command: nodeCommand("forever.ts"), scale: 2 },
            tree: { command: [fixture("forks-grandchildren.sh"), "daemon"], scale: 3 },
            stubborn: { command: [fixture("ignores-term.sh")], scale: 2 },
          },
        },
        mark,
      );
      await waitFor(() => marked(mark, supervisor.pid).length > 0);
      const killAt = performance.now() + afterMs;
      await waitFor(() => performance.now() >= killAt);
      supervisor.kill("SIGKILL");
      await expect.poll(() => marked(mark, undefined), { timeout: 5_000 }).toEqual([]);
    },
  );
});
