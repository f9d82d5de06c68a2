import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AgentProcess } from "../e2e/agent-process.ts";
import { findFaults, NO_FAULTS, readMarks } from "../e2e/landed-marks.ts";
import { startLoad } from "../e2e/load.ts";
import { createTestDatabase, type TestDatabase } from "../setup/database.ts";
import { DURABLE_STEPS } from "./durable-steps.ts";

const TOKEN = "crash-token";
const SEED = 1;
const CRASH_POINT = pathToFileURL(join(import.meta.dirname, "crash-point.ts")).href;
/** Leaves a claim for whoever comes next. */
const UNSETTLED = "before commit";

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(async () => {
  await database.drop();
});

async function startAndCrash(agent: AgentProcess, point: string): Promise<void> {
  await agent
    .start({ NODE_OPTIONS: `--import=${CRASH_POINT}`, MILLRACE_TEST_CRASH: point })
    // It may crash before it listens.
    .catch(() => {});
  expect(await agent.ended()).toBe("SIGKILL");
}

const points = Object.keys(DURABLE_STEPS).flatMap((step) => [`before ${step}`, `after ${step}`]);

// With commits that do not wait for the disk there is one step more, the barrier.
describe("an agent that is killed twice in a row", () => {
  test.each(points)("%s loses and doubles nothing", async (point) => {
    const run = point.replaceAll(" ", "_");
    const agent = await AgentProcess.create({
      databaseUrl: database.url,
      token: TOKEN,
      env: { MILLRACE_DRAIN_BATCH_ROWS: "50", MILLRACE_SYNCHRONOUS_COMMIT: "off" },
    });
    const { address } = agent;
    const load = await startLoad({ address, token: TOKEN, run, seed: SEED, connections: 4 });
    try {
      await startAndCrash(agent, UNSETTLED);
      await startAndCrash(agent, point);
      await startAndCrash(agent, point);
      await agent.start();
      await load.stop();
      expect(await agent.stop()).toBe(0);
    } finally {
      await load.stop();
      await agent.remove();
    }
    expect(load.acknowledged.length).toBeGreaterThan(0);
    expect(findFaults(await readMarks(database.url, run), load)).toEqual(NO_FAULTS);
  });
});
