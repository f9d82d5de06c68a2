import { describe, expect, it } from "vitest";
import {
  type DrainWorkerStatus,
  findStall,
  type PoolProgress,
} from "../../src/stall/pool-health.ts";

const NOW = 1_000_000;

function worker(changes: Partial<DrainWorkerStatus> = {}): DrainWorkerStatus {
  return { worker: 0, phase: "idle", reason: undefined, code: undefined, since: 0, ...changes };
}

function stallOf(changes: Partial<PoolProgress> = {}) {
  return findStall({
    rows: 7,
    pendingRows: 7,
    idleSince: NOW - 60_000,
    workers: [worker()],
    silentMs: () => 0,
    stallMs: 30_000,
    now: NOW,
    ...changes,
  });
}

describe("findStall", () => {
  it("finds none without rows, however long nothing has happened", () => {
    expect(stallOf({ rows: 0, pendingRows: 0 })).toBeUndefined();
  });

  it("finds none before stallMs has passed", () => {
    expect(stallOf({ idleSince: NOW - 29_999 })).toBeUndefined();
  });

  it("names the code and the reason of the worker that waits", () => {
    const waiting = worker({ phase: "waiting", code: "table-locked", reason: "locked" });
    expect(stallOf({ workers: [worker({ worker: 1 }), waiting] })).toEqual({
      healthy: false,
      code: "table-locked",
      reason: "7 rows buffered, not landing for 1000 s: locked",
    });
  });

  it.each([
    ["landing, its thread alive", { phase: "landing" }, 100, "postgres-unreachable"],
    ["landing, its thread silent", { phase: "landing" }, 9_000, "worker-hung"],
    [
      "waiting, its thread silent",
      { phase: "waiting", code: "table-locked" },
      9_000,
      "worker-hung",
    ],
    [
      "waiting for the buffer's lock, its thread silent",
      { phase: "waiting", code: "disk-trouble" },
      9_000,
      "disk-trouble",
    ],
    ["starting", { phase: "starting" }, 0, "no-worker"],
    ["idle although rows are pending", { phase: "idle" }, 0, "no-worker"],
    ["idle and silent although rows are pending", { phase: "idle" }, 9_000, "worker-hung"],
    ["resting although rows are pending", { phase: "resting" }, 0, "no-worker"],
  ] as const)("a worker that is %s: %s", (_title, changes, silence, code) => {
    expect(stallOf({ workers: [worker(changes)], silentMs: () => silence })?.code).toBe(code);
  });

  it("a worker that rests while another lands is none", () => {
    const workers = [
      worker({ phase: "resting" }),
      worker({ worker: 1, phase: "landing", since: NOW }),
    ];
    expect(stallOf({ workers, idleSince: NOW - 100 })).toBeUndefined();
  });
});
