import { waitFor } from "@millrace/core/testing";
import { createRandom, createTraffic, encodeFrame, hashToken, sendOnce } from "@millrace/load";
import Sqlite from "better-sqlite3";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findFaults, NO_FAULTS, readMarks } from "../e2e/landed-marks.ts";
import { startLoad } from "../e2e/load.ts";
import { queryOnce } from "../setup/query-once.ts";
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

async function queryNumber(sql: string): Promise<number> {
  const [row] = await queryOnce<{ value: string }>(world.databaseUrl, sql);
  return Number(row?.value);
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
  await waitFor(() => world.agent.hasEmptyBuffer(), {
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
