import { describe } from "vitest";
import { createMemoryBackend } from "../../src/testing/memory-backend.ts";
import type { Backend } from "./backend.ts";
import { queueContract } from "./contract.ts";

const STEP_MS = 10;
const STEPS = 1_000;

async function openMemory(): Promise<Backend> {
  const { clock, settled: _, ...factories } = createMemoryBackend();
  return {
    ...factories,
    now: () => clock.now(),
    async until(condition) {
      await clock.advance(0);
      for (let steps = 0; steps < STEPS; steps++) {
        const result = await condition();
        if (result) return result;
        await clock.advance(STEP_MS);
      }
      throw new Error(`did not hold within ${STEPS * STEP_MS} ms of the backend's clock`);
    },
    violations: () => Promise.resolve([]),
    close: () => Promise.resolve(),
  };
}

describe("the contract of the queue, in memory", () => {
  queueContract(openMemory);
});
