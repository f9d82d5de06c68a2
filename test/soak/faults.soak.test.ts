import { waitFor } from "@millrace/core/testing";
import { createRandom, createTraffic, encodeFrame, hashToken, sendOnce } from "@millrace/load";
import Sqlite from "better-sqlite3";
import { Client } from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findFaults, NO_FAULTS, readMarks } from "../e2e/landed-marks.ts";
import { startLoad } from "../e2e/load.ts";
import { FAULTS } from "./faults.ts";
import { FaultWorld } from "./fault-world.ts";

const COUNT = Number(process.env["MILLRACE_SOAK_FAULTS"] ?? 300);
const SEED = Number(process.env["MILLRACE_TEST_SEED"] ?? Date.now() % 1_000_000);
/** How long the world may be whole between two faults, at most, in milliseconds. */
const MAX_PEACE_MS = 600;

let world: FaultWorld;

beforeAll(async () => {
  world = await FaultWorld.create();
  await world.agent.start();
});

afterAll(async () => {
  await world.end();
});

async function bufferRows(): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${world.agent.opsPort}/metrics`);
  return Number(/^millrace_buffer_rows (\d+)$/m.exec(await response.text())?.[1] ?? Number.NaN);
}

async function queryNumber(sql: string): Promise<number> {
  const client = new Client({ connectionString: world.databaseUrl });
  await client.connect();
  try {
    const { rows } = await client.query<{ value: string }>(sql);
    return Number(rows[0]?.value);
  } finally {
    await client.end();
  }
}

test(`${COUNT} faults lose nothing and double nothing (MILLRACE_TEST_SEED=${SEED})`, async () => {
  console.log(`seed ${SEED}`);
  const random = createRandom(SEED);
  const { agent, token } = world;
  const { address } = agent;
  const load = await startLoad({ address, token, run: "soak", seed: SEED, connections: 6 });
  const names = Object.keys(FAULTS);
  const done: Record<string, number> = {};
  for (let fault = 0; fault < COUNT; fault++) {
    const name = names[Math.floor(random() * names.length)] ?? "";
    await FAULTS[name]?.(world, random);
    done[name] = (done[name] ?? 0) + 1;
    await new Promise((resolve) => setTimeout(resolve, random() * MAX_PEACE_MS));
  }
  await load.stop();
  console.log(done, { acknowledged: load.acknowledged.length, unknown: load.unknown.length });

  // Alive: a record sent after the faults goes all the way.
  const traffic = createTraffic({ seed: SEED + 1, run: "fresh", maxRecords: 1 });
  const fresh = traffic.next();
  const frame = encodeFrame(fresh.body, await hashToken(token));
  await waitFor(async () => (await sendOnce(address, frame)) === "acknowledged");
  await waitFor(async () => (await bufferRows()) === 0, {
    timeoutMs: 120_000,
    description: "empty buffer",
  });
  expect((await readMarks(world.databaseUrl, "fresh")).size).toBe(1);

  expect(load.acknowledged.length).toBeGreaterThan(COUNT);
  expect(findFaults(await readMarks(world.databaseUrl, "soak"), load)).toEqual(NO_FAULTS);

  // The books: what was ever stored is what the ledger landed, and nothing else left the file.
  expect(await agent.stop()).toBe(0);
  const file = new Sqlite(agent.bufferPath, { readonly: true });
  const stored = file
    .prepare("SELECT appended_rows AS appended, purged_rows AS purged FROM progress")
    .get() as { appended: number; purged: number };
  file.close();
  expect(stored.purged).toBe(stored.appended);
  expect(await queryNumber("SELECT sum(payloads) AS value FROM millrace_ledger")).toBe(
    stored.appended,
  );
  expect(await queryNumber("SELECT count(*) AS value FROM millrace_dead_letters")).toBe(0);
}, 3_600_000);
