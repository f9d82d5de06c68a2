import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
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
let folder: string;

beforeAll(async () => {
  database = await createTestDatabase();
  folder = mkdtempSync(join(tmpdir(), "millrace-crash-"));
});

afterAll(async () => {
  await database.drop();
  rmSync(folder, { recursive: true, force: true });
});

async function startAndCrash(agent: AgentProcess, point: string): Promise<void> {
  await agent
    .start({ NODE_OPTIONS: `--import=${CRASH_POINT}`, MILLRACE_TEST_CRASH: point })
    // It may crash before it listens.
    .catch(() => {});
  expect(await agent.ended()).toBe("SIGKILL");
}

const points = Object.keys(DURABLE_STEPS).flatMap((step) => [`before ${step}`, `after ${step}`]);

describe("an agent that is killed twice in a row", () => {
  test.each(points)("%s loses and doubles nothing", async (point) => {
    const run = point.replaceAll(" ", "_");
    const agent = await AgentProcess.create({
      databaseUrl: database.url,
      bufferPath: join(folder, `${run}.db`),
      token: TOKEN,
      env: { MILLRACE_DRAIN_BATCH_ROWS: "50" },
    });
    const { address } = agent;
    const load = await startLoad({ address, token: TOKEN, run, seed: SEED, connections: 4 });
    try {
      await startAndCrash(agent, UNSETTLED);
      await startAndCrash(agent, point);
      await startAndCrash(agent, point);
      await agent.start();
    } finally {
      await load.stop();
    }
    expect(await agent.stop()).toBe(0);
    expect(load.acknowledged.length).toBeGreaterThan(0);
    expect(findFaults(await readMarks(database.url, run), load)).toEqual(NO_FAULTS);
  });
});
