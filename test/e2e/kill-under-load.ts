import { createRandom } from "@millrace/load";
import { expect } from "vitest";
import { createTestDatabase } from "../setup/database.ts";
import { AgentProcess } from "./agent-process.ts";
import { findFaults, NO_FAULTS, readMarks } from "./landed-marks.ts";
import { startLoad } from "./load.ts";

const TOKEN = "kill-token";
/** A kill comes this long after the agent listens, at most, in milliseconds. */
const MAX_LIFE_MS = 250;

/** What `MILLRACE_TEST_SEED` says, or a new one. */
export const SEED = Number(process.env["MILLRACE_TEST_SEED"] ?? Date.now() % 1_000_000);

/**
 * Kills an agent at random moments while clients send, then lets it drain: what was acknowledged, more than
 * `fewest` records, is there once.
 */
export async function killUnderLoad(kills: number, fewest: number): Promise<void> {
  console.log(`seed ${SEED}`);
  const random = createRandom(SEED);
  const database = await createTestDatabase();
  const agent = await AgentProcess.create({
    databaseUrl: database.url,
    token: TOKEN,
    // Small batches: more transactions for a kill to fall into.
    env: { MILLRACE_DRAIN_BATCH_ROWS: "50" },
  });
  const { address } = agent;
  const load = await startLoad({ address, token: TOKEN, run: "kill", seed: SEED, connections: 8 });
  try {
    for (let kill = 0; kill < kills; kill++) {
      await agent.start();
      await new Promise((resolve) => setTimeout(resolve, random() * MAX_LIFE_MS));
      await agent.kill();
    }
    await agent.start();
    await load.stop();
    expect(await agent.stop()).toBe(0);
    expect(load.acknowledged.length).toBeGreaterThan(fewest);
    expect(findFaults(await readMarks(database.url, "kill"), load)).toEqual(NO_FAULTS);
  } finally {
    await load.stop();
    await agent.remove();
    await database.drop();
  }
}
