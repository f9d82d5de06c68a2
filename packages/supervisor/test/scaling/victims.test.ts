import * as fc from "fast-check";
import { expect, test } from "vitest";
import { dependencyLevels, findCycle } from "../../src/scaling/dependency-order.ts";
import { chooseVictims, lowestFreeNumbers } from "../../src/scaling/victims.ts";
import { judgeErrorRates } from "../../src/scaling/canary-verdict.ts";

test("victims: first who doesn't serve, then the idle, the less busy, the younger, the higher number", () => {
  const candidates = [
    { number: 1, state: "ready", busy: 0, uptimeMs: 90_000 },
    { number: 2, state: "ready", busy: 5, uptimeMs: 1_000 },
    { number: 3, state: "ready", busy: 1, uptimeMs: 1_000 },
    { number: 4, state: "crashloop", busy: undefined, uptimeMs: 0 },
    { number: 5, state: "ready", busy: 0, uptimeMs: 5_000 },
    { number: 6, state: "ready", busy: 0, uptimeMs: 5_010 },
  ] as const;
  expect(chooseVictims(candidates, 6).map(({ number }) => number)).toEqual([4, 6, 5, 1, 3, 2]);
  expect(chooseVictims(candidates, 0)).toEqual([]);
});

test("who is chosen by hand goes first, in that order, and the rest as usual", () => {
  const candidates = [1, 2, 3, 4].map((number) => ({
    number,
    state: "ready" as const,
    busy: number === 4 ? 0 : 1,
    uptimeMs: 0,
  }));
  const seen: unknown[] = [];
  const victims = chooseVictims(candidates, 3, (offered, count) => {
    seen.push(offered, count);
    return [2, 1, 99];
  });
  expect(victims.map(({ number }) => number)).toEqual([2, 1, 4]);
  expect(seen).toEqual([candidates, 3]);
});

test("freed numbers are used again, lowest first", () => {
  expect(lowestFreeNumbers(new Set([1, 3, 4]), 3)).toEqual([2, 5, 6]);
});

test("levels put every process after what it depends on", () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(fc.nat(19), { maxLength: 4 }), { minLength: 20, maxLength: 20 }),
      (edges) => {
        const graph = new Map(
          edges.map((targets, index) => [
            `p${index}`,
            Object.fromEntries(
              targets
                .filter((target) => target < index)
                .map((target) => [`p${target}`, "ready" as const]),
            ),
          ]),
        );
        const levels = dependencyLevels(graph) ?? [];
        const position = new Map(
          levels.flatMap((level, index) => level.map((name) => [name, index] as const)),
        );
        for (const [name, dependencies] of graph) {
          for (const dependency of Object.keys(dependencies)) {
            expect(position.get(dependency)).toBeLessThan(position.get(name) ?? -1);
          }
        }
        expect(position.size).toBe(20);
      },
    ),
  );
});

test("a cycle is named as the path that leads back", () => {
  const graph = new Map([
    ["a", { b: "ready" as const }],
    ["b", { c: "ready" as const }],
    ["c", { b: "ready" as const }],
  ]);
  expect(dependencyLevels(graph)).toBeUndefined();
  expect(findCycle(graph)).toEqual(["b", "c", "b"]);
});

function simulateCanary(errorRate: number, random: () => number): boolean {
  const canary = { total: 0, errors: 0 };
  const stable = { total: 0, errors: 0 };
  for (let look = 0; look < 60; look++) {
    for (let request = 0; request < 20; request++) {
      canary.total++;
      if (random() < errorRate) canary.errors++;
      for (let other = 0; other < 9; other++) {
        stable.total++;
        if (random() < 0.005) stable.errors++;
      }
    }
    if (judgeErrorRates(canary, stable).verdict === "abort") return true;
  }
  return false;
}

test("of 100 canaries 99 with 5 % errors are aborted, and 95 clean ones pass sixty looks", () => {
  let seed = 7;
  const random = (): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return seed / 2 ** 31;
  };
  const count = (rate: number): number =>
    Array.from({ length: 100 }, () => simulateCanary(rate, random)).filter(Boolean).length;
  expect(count(0.05)).toBeGreaterThanOrEqual(99);
  expect(count(0.005)).toBeLessThanOrEqual(5);
});
