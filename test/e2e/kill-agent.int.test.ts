import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRandom } from "@millrace/load";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../setup/database.ts";
import { AgentProcess } from "./agent-process.ts";
import { findFaults, NO_FAULTS, readMarks } from "./landed-marks.ts";
import { startLoad } from "./load.ts";

const TOKEN = "kill-token";
const KILLS = 50;
/** A kill comes this long after the agent listens, at most, in milliseconds. */
const MAX_LIFE_MS = 250;
const SEED = Number(process.env["MILLRACE_TEST_SEED"] ?? Date.now() % 1_000_000);

let database: TestDatabase;
let folder: string;

beforeAll(async () => {
  database = await createTestDatabase();
  folder = mkdtempSync(join(tmpdir(), "millrace-kill-"));
});

afterAll(async () => {
  await database.drop();
  rmSync(folder, { recursive: true, force: true });
});

test(`${KILLS} kill -9 of the agent under load lose and double nothing (MILLRACE_TEST_SEED=${SEED})`, async () => {
  console.log(`seed ${SEED}`);
  const random = createRandom(SEED);
  const agent = await AgentProcess.create({
    databaseUrl: database.url,
    bufferPath: join(folder, "buffer.db"),
    token: TOKEN,
    // Small batches: more transactions for a kill to fall into.
    env: { MILLRACE_DRAIN_BATCH_ROWS: "50" },
  });
  const { address } = agent;
  const load = await startLoad({ address, token: TOKEN, run: "kill", seed: SEED, connections: 8 });
  try {
    for (let kill = 0; kill < KILLS; kill++) {
      await agent.start();
      await new Promise((resolve) => setTimeout(resolve, random() * MAX_LIFE_MS));
      await agent.kill();
    }
    await agent.start();
    await load.stop();
    expect(await agent.stop()).toBe(0);
  } finally {
    await load.stop();
    await agent.kill();
  }
  expect(load.acknowledged.length).toBeGreaterThan(KILLS);
  expect(findFaults(await readMarks(database.url, "kill"), load)).toEqual(NO_FAULTS);
}, 240_000);
