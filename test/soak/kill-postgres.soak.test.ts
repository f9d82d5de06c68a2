import { waitFor } from "@millrace/core/testing";
import { createRandom } from "@millrace/load";
import { type PostgresService, startPostgres } from "@millrace/services";
import { afterAll, beforeAll, expect, test } from "vitest";
import { AgentProcess } from "../e2e/agent-process.ts";
import { findFaults, NO_FAULTS, readMarks } from "../e2e/landed-marks.ts";
import { startLoad } from "../e2e/load.ts";

const TOKEN = "kill-token";
const KILLS = 8;
const SEED = Number(process.env["MILLRACE_TEST_SEED"] ?? Date.now() % 1_000_000);
/** Log lines that one outage may cost: PostgreSQL away, PostgreSQL back, and a rare late worker. */
const MAX_LINES_PER_OUTAGE = 4;

let postgres: PostgresService;
let agent: AgentProcess;

beforeAll(async () => {
  postgres = await startPostgres();
  agent = await AgentProcess.create({
    databaseUrl: await postgres.createDatabase("telemetry"),
    token: TOKEN,
    env: { MILLRACE_DRAIN_BATCH_ROWS: "50" },
  });
  await agent.start();
});

afterAll(async () => {
  await agent.remove();
  await postgres.remove();
});

test(`${KILLS} kill -9 of PostgreSQL under load lose and double nothing (MILLRACE_TEST_SEED=${SEED})`, async () => {
  console.log(`seed ${SEED}`);
  const random = createRandom(SEED);
  const { address } = agent;
  const load = await startLoad({
    address,
    token: TOKEN,
    run: "pgkill",
    seed: SEED,
    connections: 4,
  });
  for (let kill = 0; kill < KILLS; kill++) {
    const landed = await agent.readMetric("millrace_drain_batches_total");
    await waitFor(async () => (await agent.readMetric("millrace_drain_batches_total")) > landed, {
      timeoutMs: 40_000,
      description: "a batch that lands",
    });
    await new Promise((resolve) => setTimeout(resolve, random() * 300));
    const acknowledged = load.acknowledged.length;
    await postgres.kill();
    await waitFor(() => load.acknowledged.length > acknowledged, {
      description: "ingest that goes on without PostgreSQL",
    });
    await postgres.start();
  }
  await load.stop();
  await waitFor(() => agent.hasEmptyBuffer(), {
    timeoutMs: 60_000,
    description: "empty buffer",
  });
  const url = new URL(postgres.url);
  url.pathname = "telemetry";
  expect(findFaults(await readMarks(url.href, "pgkill"), load)).toEqual(NO_FAULTS);
  expect(agent.lines.length).toBeLessThan(KILLS * MAX_LINES_PER_OUTAGE + 5);
}, 180_000);
