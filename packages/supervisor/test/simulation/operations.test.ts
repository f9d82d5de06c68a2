import type { Operation, Supervisor } from "@millrace/supervisor";
import { describe, expect, test, vi } from "vitest";
import { Random } from "./random.ts";
import { simulate, type Simulation } from "./simulate.ts";

const CALLS = 200;
const SCALE = 3;
const MAX_SCALE = 5;
const READINESS = { type: "ipc", intervalMs: 20_000 } as const;

/** Two hundred calls, all at once or a little apart; returns their outcomes, in order. */
async function callMany(
  { host, supervisor }: Simulation,
  seed: number,
  call: (random: Random) => Operation,
): Promise<string[]> {
  const random = new Random(seed);
  const running = new Set<string>();
  let mostRunning = 0;
  const ends = new Map<string, number>();
  supervisor.on("operation:changed", ({ id, endedAt }) => {
    if (endedAt === undefined) running.add(id);
    else {
      running.delete(id);
      ends.set(id, (ends.get(id) ?? 0) + 1);
    }
    mostRunning = Math.max(mostRunning, running.size);
  });
  const operations: Operation[] = [];
  for (let index = 0; index < CALLS; index++) {
    operations.push(call(random));
    if (index >= CALLS / 2) await host.clock.advance(random.between(0, 700));
  }
  const isDone = (): boolean => operations.every(({ id }) => ends.has(id));
  expect(await host.clock.advanceUntil(isDone, 3_600_000)).toBe(true);
  expect(mostRunning).toBe(1);
  expect([...ends.values()].every((count) => count === 1)).toBe(true);
  return operations.map((operation) => operation.status().state);
}

function reload(supervisor: Supervisor, random: Random): Operation {
  return random.chance(0.5) ? supervisor.restart("worker") : supervisor.rollout("worker");
}

// Much is made to happen, and the machine may be busy.
vi.setConfig({ testTimeout: 60_000 });

describe.each([1, 2, 3, 4, 5])("two hundred calls on one process, seed %i", (seed) => {
  test("one is done after the other, with no more processes at any time than scale and surge", async () => {
    const simulation = await simulate({
      scale: SCALE,
      ipc: true,
      health: { readiness: READINESS },
    });
    const { host, supervisor } = simulation;
    let most = 0;
    let fewestReady = SCALE;
    supervisor.on("instance:changed", () => {
      most = Math.max(most, host.running.length);
      fewestReady = Math.min(fewestReady, supervisor.process("worker").counts.ready);
    });
    const states = await callMany(simulation, seed, (random) => {
      if (random.chance(0.3)) return supervisor.scale("worker", SCALE);
      return reload(supervisor, random);
    });
    for (const state of states) expect(["succeeded", "superseded"]).toContain(state);
    expect(states.at(-1)).toBe("succeeded");
    expect(most).toBe(SCALE + 1);
    expect(fewestReady).toBe(SCALE);
    expect(await simulation.close()).toEqual([]);
  });

  test("whatever scale is wanted in between, the last one wanted is what there is", async () => {
    const simulation = await simulate({ scale: SCALE, maxScale: MAX_SCALE });
    const { host, supervisor } = simulation;
    let most = 0;
    supervisor.on("instance:changed", () => {
      most = Math.max(most, host.running.length);
    });
    const states = await callMany(simulation, seed, (random) => {
      if (random.chance(0.5)) return supervisor.scale("worker", random.between(0, MAX_SCALE));
      return reload(supervisor, random);
    });
    for (const state of states) expect(["succeeded", "superseded"]).toContain(state);
    const { desired, instances } = supervisor.process("worker");
    expect(instances.map(({ state }) => state)).toEqual(Array(desired).fill("ready"));
    expect(most).toBeLessThanOrEqual(MAX_SCALE + 1);
    expect(await simulation.close()).toEqual([]);
  });
});
