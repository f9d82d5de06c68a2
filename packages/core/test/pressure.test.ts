import fc from "fast-check";
import { Registry } from "prom-client";
import { expect, test } from "vitest";
import { createPressure, nextPressureState, type PressureState } from "../src/pressure.ts";
import { eventLoopSource, heapSource } from "../src/pressure-sources.ts";
import { createMemoryLogger, waitFor } from "../src/testing.ts";

const states = fc.constantFrom<PressureState>("open", "throttled", "closed");
const limits = fc
  .tuple(
    fc.double({ min: 0.01, max: 5, noNaN: true }),
    fc.double({ min: 0.01, max: 5, noNaN: true }),
  )
  .filter(([a, b]) => a !== b)
  .map(([a, b]) => ({ low: Math.min(a, b), high: Math.max(a, b) }));
const fractions = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const utilisations = fc.double({ min: 0, max: 6, noNaN: true });

test("at high and above it is closed, below low it is open, whatever it was", () => {
  fc.assert(
    fc.property(states, utilisations, limits, (state, utilisation, bounds) => {
      const next = nextPressureState(state, utilisation, bounds);
      if (utilisation >= bounds.high) expect(next).toBe("closed");
      else if (utilisation < bounds.low) expect(next).toBe("open");
    }),
  );
});

test("between low and high a state that is not open never changes", () => {
  fc.assert(
    fc.property(states, fractions, limits, (state, fraction, bounds) => {
      const utilisation = bounds.low + fraction * (bounds.high - bounds.low);
      fc.pre(utilisation < bounds.high);
      const next = nextPressureState(state, utilisation, bounds);
      if (state === "open") expect(next).not.toBe("closed");
      else expect(next).toBe(state);
    }),
  );
});

test("the same reading twice changes nothing the second time", () => {
  fc.assert(
    fc.property(states, utilisations, limits, (state, utilisation, bounds) => {
      const once = nextPressureState(state, utilisation, bounds);
      expect(nextPressureState(once, utilisation, bounds)).toBe(once);
    }),
  );
});

test("readings that stay between low and high change the state at most once", () => {
  fc.assert(
    fc.property(states, limits, fc.array(fractions), (start, bounds, readings) => {
      let state = start;
      let changes = 0;
      for (const reading of readings) {
        const utilisation = bounds.low + reading * (bounds.high - bounds.low);
        if (utilisation >= bounds.high) continue;
        const next = nextPressureState(state, utilisation, bounds);
        if (next !== state) changes++;
        state = next;
      }
      expect(changes).toBeLessThanOrEqual(1);
    }),
  );
});

function watched(values: Record<string, number>, metrics = new Registry()) {
  const reads: string[] = [];
  const pressure = createPressure({
    sources: Object.keys(values).map((name) => ({
      name,
      utilisation: () => {
        reads.push(name);
        return values[name] ?? Number.NaN;
      },
    })),
    intervalMs: 5,
    logger: createMemoryLogger(),
    metrics,
  });
  return { pressure, reads, metrics };
}

test("the highest source decides, and a change names it", () => {
  const values = { buffer: 0.1, heap: 0.95 };
  const { pressure } = watched(values);
  const changes: unknown[] = [];
  const off = pressure.on("change", (event) => changes.push(event));
  expect(pressure.sample()).toBe("closed");
  values.heap = 0.8;
  expect(pressure.sample()).toBe("closed");
  values.heap = 0.2;
  expect(pressure.sample()).toBe("open");
  off();
  values.buffer = 2;
  pressure.sample();
  expect(changes).toEqual([
    { from: "open", to: "closed", source: "heap", utilisation: 0.95 },
    { from: "closed", to: "open", source: "heap", utilisation: 0.2 },
  ]);
});

test("a source that reports no number does not hide the others", () => {
  const { pressure } = watched({ buffer: 0.95, broken: Number.NaN });
  expect(pressure.sample()).toBe("closed");
  expect(pressure.utilisation).toBe(0.95);
  expect(watched({ broken: Number.NaN }).pressure.sample()).toBe("open");
});

test("it samples by itself while it runs, and health follows", async () => {
  const values = { buffer: 0 };
  const { pressure } = watched(values);
  await pressure.start();
  expect(pressure.health()).toEqual({ healthy: true });
  values.buffer = 1;
  await waitFor(() => pressure.pressure === "closed");
  expect(pressure.health()).toMatchObject({
    healthy: false,
    reason: expect.stringContaining("1.00"),
  });
  await pressure.close();
  expect(pressure.state).toBe("closed");
});

test("a scrape shows the last reading and reads no source: reading may reset it", async () => {
  const { pressure, reads, metrics } = watched({ loop: 0.25 });
  await pressure.start();
  const readsBefore = reads.length;
  const page = metrics.metrics();
  expect(reads.length).toBe(readsBefore);
  expect(await page).toContain('millrace_pressure_utilisation{source="loop"} 0.25');
  await pressure.close();
  expect(await metrics.metrics()).toBe("\n");
});

test("without a source it is open for ever", () => {
  expect(createPressure({ sources: [] }).sample()).toBe("open");
});

test("low must be below high, and a source must be one", () => {
  expect(() => createPressure({ sources: [], low: 0.95 })).toThrow(/low must be below high/);
  expect(() => createPressure({ sources: [{ name: "x" } as never] })).toThrow(
    /sources\.0: .*utilis/,
  );
});

test("the heap uses some of its limit", () => {
  expect(heapSource().utilisation()).toBeGreaterThan(0);
  expect(heapSource().utilisation()).toBeLessThan(1);
});

test("a blocked event loop shows in the next reading", async () => {
  const loop = eventLoopSource({ limitMs: 10 });
  expect(loop.utilisation()).toBe(0);
  await waitFor(() => {
    if (loop.utilisation() > 2) return true;
    const blockedUntil = performance.now() + 60;
    while (performance.now() < blockedUntil);
    return false;
  });
});
