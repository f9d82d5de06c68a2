import { type ChildProcess, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, onTestFinished, test } from "vitest";
import { readBootId, readProcStat } from "../../src/process/proc-stat.ts";
import { readState } from "../../src/state/state-file.ts";
import { findSurvivors } from "../../src/state/survivors.ts";
import { isRunning } from "../fixtures/start-supervisor.ts";
import { temporaryFolder } from "../fixtures/temporary-folder.ts";

const ID = "state-file-test";

function sleeper(): ChildProcess {
  const child = spawn("sleep", ["1000"], { detached: true });
  onTestFinished(() => void child.kill("SIGKILL"));
  return child;
}

test("however a state file is damaged, it is read or not, and names nobody but the instances it knew", () => {
  const folder = temporaryFolder();
  const file = join(folder, "state.json");
  const [own, stranger] = [sleeper(), sleeper()];
  const startTicks = readProcStat(Number(own.pid))?.startTicks ?? 0;
  const instance = { process: "worker", number: 1, pid: Number(own.pid), startTicks };
  const text = JSON.stringify({
    version: 1,
    bootId: readBootId(),
    processes: { worker: { configured: 1, desired: 1 } },
    // A pid that was used again: the same boot, another start.
    instances: [
      instance,
      { ...instance, number: 2, pid: stranger.pid, startTicks: startTicks - 1 },
    ],
  });
  const damage = fc.oneof(
    fc.nat(text.length).map((length) => text.slice(0, length)),
    fc
      .tuple(fc.nat(text.length - 1), fc.string({ minLength: 1, maxLength: 3 }))
      .map(([at, put]) => text.slice(0, at) + put + text.slice(at + put.length)),
    fc
      .tuple(fc.nat(text.length - 1), fc.nat(20))
      .map(([at, cut]) => text.slice(0, at) + text.slice(at + cut)),
    fc.json(),
    fc.string(),
  );
  let adopted = 0;
  fc.assert(
    fc.property(damage, (damaged) => {
      writeFileSync(file, damaged);
      const survivors = findSurvivors(ID, readState(file));
      adopted += survivors.length;
      for (const { pid, startTicks: ticks } of survivors) {
        expect({ pid, ticks }).toEqual({ pid: own.pid, ticks: startTicks });
      }
    }),
    { numRuns: 300 },
  );
  expect(adopted).toBeGreaterThan(0);
  writeFileSync(file, text);
  expect(findSurvivors(ID, readState(file)).map(({ pid }) => pid)).toEqual([own.pid]);
  writeFileSync(file, text.replace(readBootId(), "another-boot"));
  expect(findSurvivors(ID, readState(file))).toEqual([]);
  expect([own, stranger].map(({ pid }) => isRunning(Number(pid)))).toEqual([true, true]);
});
