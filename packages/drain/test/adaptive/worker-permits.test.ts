import fc from "fast-check";
import { expect, it } from "vitest";
import { WorkerPermits } from "../../src/adaptive/worker-permits.ts";

function permitsOf(concurrency: number): WorkerPermits {
  const permits = new WorkerPermits();
  permits.set({ concurrency, batchRows: 5_000, restShare: 0 });
  return permits;
}

it("as many workers may claim as the limit says, and they keep it", () => {
  const permits = permitsOf(2);
  expect([0, 1, 2, 0, 1, 2].map((worker) => permits.mayClaim(worker))).toEqual([
    true,
    true,
    false,
    true,
    true,
    false,
  ]);
});

it("a lower limit takes effect when a worker next asks, and frees no place for another", () => {
  const permits = permitsOf(2);
  permits.mayClaim(0);
  permits.mayClaim(63);
  permits.set({ concurrency: 1, batchRows: 500, restShare: 1.5 });
  expect(permits.mayClaim(63)).toBe(false);
  expect(permits.mayClaim(5)).toBe(false);
  expect(permits.mayClaim(0)).toBe(true);
  expect(permits.batchRows).toBe(500);
  expect(permits.restShare).toBe(1.5);
});

it("the permit of a worker that has died goes to the next that asks", () => {
  const permits = permitsOf(1);
  permits.mayClaim(3);
  expect(permits.mayClaim(4)).toBe(false);
  permits.revoke(3);
  expect(permits.mayClaim(4)).toBe(true);
});

it("threads with the same memory see the same permits", () => {
  const permits = permitsOf(1);
  const other = new WorkerPermits(permits.memory);
  expect(permits.mayClaim(0)).toBe(true);
  expect(other.mayClaim(1)).toBe(false);
  expect(other.batchRows).toBe(5_000);
});

it("never more workers hold a permit than the highest limit, and someone does whoever asks last", () => {
  const step = fc.oneof(
    fc.record({ ask: fc.nat(63) }),
    fc.record({ limit: fc.integer({ min: 1, max: 64 }) }),
    fc.record({ revoke: fc.nat(63) }),
  );
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      let limit = 3;
      const permits = permitsOf(limit);
      for (const one of steps) {
        if ("limit" in one) {
          limit = one.limit;
          permits.set({ concurrency: limit, batchRows: 1, restShare: 0 });
        } else if ("revoke" in one) permits.revoke(one.revoke);
        else permits.mayClaim(one.ask);
      }
      const allowed = Array.from({ length: 64 }, (_, worker) => permits.mayClaim(worker));
      expect(allowed.filter(Boolean)).toHaveLength(limit);
    }),
  );
});
