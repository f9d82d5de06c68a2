import {
  bufferDepth,
  cpu,
  eventLoop,
  memory,
  metric,
  pressure,
  queueDepth,
  schedule,
  steps,
} from "@millrace/supervisor";
import { describe, expect, test } from "vitest";
import type { AutoscaleContext } from "../../src/options/autoscale-options.ts";

const context: AutoscaleContext = {
  process: "worker",
  nowMs: Date.parse("2026-06-15T12:00:00Z"),
  current: 4,
  ready: 4,
  busy: 0,
  startupMs: 1_000,
  cpuCores: 3.2,
  eventLoopUtilisation: 0.35,
  residentBytes: 400_000_000,
};

const tiers = steps([
  { above: 500, instances: 10 },
  { instances: 2 },
  { above: 1000, instances: 20 },
  { above: 100, instances: 5 },
]);

describe("inputs", () => {
  test.each([
    [0, 2],
    [100, 2],
    [101, 5],
    [500, 5],
    [501, 10],
    [1000, 10],
    [1001, 20],
  ])("the tiers of a depth of %i want %i", async (depth, desired) => {
    const input = queueDepth({ depth: () => Promise.resolve(depth) }, { steps: tiers });
    expect(await input.read(context)).toMatchObject({ desired, exact: true });
  });

  test("a share per instance, and idle when nothing waits", async () => {
    expect(
      await queueDepth({ depth: () => 950 }, { perInstance: 100 }).read(context),
    ).toMatchObject({ desired: 10, active: true });
    expect(await queueDepth({ depth: () => 0 }, { perInstance: 100 }).read(context)).toMatchObject({
      desired: 0,
      active: false,
    });
  });

  test("exactly one way to turn depth into instances", () => {
    expect(() => queueDepth({ depth: () => 0 }, {})).toThrow("exactly one");
    expect(() => queueDepth({ depth: () => 0 }, { steps: tiers, perInstance: 1 })).toThrow(
      "exactly one",
    );
  });

  test("cpu: 0.8 cores each at a target of 0.4 is a ratio of 2; without a measurement it is missing", () => {
    expect(cpu({ target: 0.4 }).read(context)).toMatchObject({ ratio: 2 });
    expect(cpu().read({ ...context, cpuCores: undefined })).toBeUndefined();
    expect(cpu().read({ ...context, ready: 0 })).toBeUndefined();
  });

  test("event loops that are busy for half of the target want half the instances", () => {
    expect(eventLoop().read(context)).toMatchObject({ ratio: 0.5 });
    expect(eventLoop().read({ ...context, eventLoopUtilisation: undefined })).toBeUndefined();
    expect(eventLoop().read({ ...context, current: 0 })).toMatchObject({ desired: 0 });
  });

  test("memory bounds by what instances are said to need or do take", () => {
    const input = memory({ perInstance: "50MB", budget: "1GB" });
    expect(input.read(context)).toMatchObject({ max: 10 });
    expect(input.read({ ...context, residentBytes: undefined })).toMatchObject({ max: 20 });
    expect(() => memory({ perInstance: "some" })).toThrow("expected bytes");
  });

  test("pressure and buffer depth", () => {
    expect(pressure({ utilisation: 0.35 }).read(context)).toMatchObject({ ratio: 0.5 });
    const buffer = { status: () => ({ pendingRows: 2_500 }) };
    expect(bufferDepth(buffer, { rowsPerInstance: 1_000 }).read(context)).toMatchObject({
      desired: 3,
    });
  });

  test.each([undefined, Number.NaN, -1, Number.POSITIVE_INFINITY])(
    "a metric of %s is missing",
    async (value) => {
      expect(await metric(() => value, { target: 1 }).read(context)).toBeUndefined();
    },
  );

  test.each([
    ["2026-06-15T06:59:00Z", 2],
    ["2026-06-15T07:00:00Z", 10],
    ["2026-06-15T12:00:00Z", 10],
    ["2026-06-15T16:00:00Z", 2],
    ["2026-12-15T07:30:00Z", 2],
    ["2026-12-15T08:00:00Z", 10],
    ["2026-03-29T07:00:00Z", 10],
    ["2026-10-25T07:59:00Z", 2],
    ["2026-10-25T08:00:00Z", 10],
  ])("office hours from 9 to 18 in Copenhagen at %s want %i, summer or winter", (at, desired) => {
    const input = schedule([
      { cron: "0 9 * * *", min: 10, timezone: "Europe/Copenhagen" },
      { cron: "0 18 * * *", min: 2, timezone: "Europe/Copenhagen" },
    ]);
    expect(input.read({ ...context, nowMs: Date.parse(at) })).toMatchObject({
      min: desired,
      desired,
    });
  });

  test("a time zone that doesn't exist is refused at once", () => {
    expect(() => schedule([{ cron: "0 9 * * *", min: 1, timezone: "Mars/Olympus" }])).toThrow(
      "schedule()",
    );
  });
});
