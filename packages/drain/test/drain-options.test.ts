import { MillraceError } from "@millrace/core";
import { createBuffer } from "@millrace/core/buffer";
import { createDrainPool, postgres } from "@millrace/drain";
import { nightwatch } from "@millrace/drain/nightwatch";
import { expect, it } from "vitest";

const SECRET = "postgres://app:hunter2@127.0.0.1/telemetry";

function create(options: Record<string, unknown> = {}) {
  const complete = {
    buffer: createBuffer({ path: "/nowhere/buffer.db" }),
    destination: postgres({ connectionString: SECRET }),
    schema: nightwatch(),
    ...options,
  };
  return createDrainPool(complete);
}

function problemOf(options: Record<string, unknown>): string {
  try {
    create(options);
  } catch (error) {
    if (MillraceError.is(error) && error.code === "CONFIG_INVALID") return error.message;
    throw error;
  }
  throw new Error("the options were taken");
}

it("creating a pool touches neither the buffer nor PostgreSQL", () => {
  const pool = create();
  expect(pool.state).toBe("idle");
  expect(pool.health()).toEqual({ healthy: true });
  expect(pool.status()).toMatchObject({ batches: 0, workers: [], lastLandedAt: undefined });
});

it("fills in the defaults that the documentation names", () => {
  const { buffer: _buffer, destination: _destination, schema: _schema, ...rest } = create().options;
  expect(rest).toEqual({
    workers: 2,
    concurrency: "adaptive",
    polite: false,
    batchRows: 5_000,
    batchBytes: 8 * 1024 * 1024,
    batchWaitMs: 200,
    maxInflatedBytes: 64 * 1024 * 1024,
    workerHeapMib: 1_024,
    workerSilenceMs: 60_000,
    stallMs: 30_000,
    breakerRows: 50,
  });
});

it("names every bad option at once", () => {
  const problem = problemOf({ workers: 0, batchRows: "many", buffer: undefined, bathWaitMs: 5 });
  for (const name of ["workers", "batchRows", "buffer", "bathWaitMs"])
    expect(problem).toContain(name);
});

it.each([
  ["workers", 65],
  ["maxConnections", 0],
  ["concurrency", "auto"],
  ["batchRows", 100_001],
  ["batchBytes", 0],
  ["batchWaitMs", -1],
  ["maxInflatedBytes", 257 * 1024 * 1024],
  ["workerHeapMib", 63],
  ["workerSilenceMs", 9_999],
  ["schema", "nightwatch"],
])("refuses %s: %j", (name, value) => {
  expect(problemOf({ [name]: value })).toContain(name);
});

it("refuses to be polite and fixed at once", () => {
  expect(problemOf({ polite: true, concurrency: "fixed" })).toContain("polite");
});

it("never shows the connection string", () => {
  const destination = { ...postgres({ connectionString: SECRET }), connectTimeoutMs: "soon" };
  expect(problemOf({ destination })).not.toContain("hunter2");
});
