import { waitFor } from "@millrace/core/testing";
import { createTraffic, encodeFrame, hashToken, sendOnce } from "@millrace/load";
import Sqlite from "better-sqlite3";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../setup/database.ts";
import { AgentProcess } from "./agent-process.ts";
import { findFaults, NO_FAULTS, readMarks } from "./landed-marks.ts";

const TOKEN = "restart-token";
let database: TestDatabase;
let agent: AgentProcess;

beforeAll(async () => {
  database = await createTestDatabase();
  agent = await AgentProcess.create({
    databaseUrl: database.url,
    token: TOKEN,
    env: { MILLRACE_DRAIN_BATCH_ROWS: "50", MILLRACE_DRAIN_WORKERS: "2" },
  });
  await agent.start();
});

afterAll(async () => {
  await agent.remove();
  await database.drop();
});

async function send(run: string, payloads: number): Promise<string[]> {
  const traffic = createTraffic({ seed: 5, run, maxRecords: 2, types: ["request"] });
  const tokenHash = await hashToken(TOKEN);
  const marks: string[] = [];
  for (let payload = 0; payload < payloads; payload++) {
    const next = traffic.next();
    expect(await sendOnce(agent.address, encodeFrame(next.body, tokenHash))).toBe("acknowledged");
    marks.push(...next.marks);
  }
  return marks;
}

async function expectLanded(run: string, acknowledged: readonly string[]): Promise<void> {
  await waitFor(() => agent.hasEmptyBuffer(), {
    timeoutMs: 20_000,
    description: "empty buffer",
  });
  const marks = await readMarks(database.url, run);
  expect(findFaults(marks, { acknowledged, unknown: [] })).toEqual(NO_FAULTS);
}

function claimsByWorker(): unknown[] {
  const file = new Sqlite(agent.bufferPath, { readonly: true });
  try {
    return file.prepare("SELECT DISTINCT worker FROM claims ORDER BY worker").pluck().all();
  } finally {
    file.close();
  }
}

test("a second agent on the ops port of the first ends with a reason, and the first goes on", async () => {
  const second = await AgentProcess.create({
    databaseUrl: database.url,
    token: TOKEN,
    env: { MILLRACE_OPS_PORT: String(agent.opsPort) },
  });
  onTestFinished(() => second.remove());
  // It has ended, with all of its threads: nothing of it drains on.
  await expect(second.start()).rejects.toThrow("the agent ended (1)");
  expect(second.lines.join("\n")).toContain("OPS_LISTEN_FAILED");
  await expectLanded("port", await send("port", 10));
});

test("SIGTERM while every COPY fails keeps what is claimed, and a start with one worker instead of two lands it once", async () => {
  await database.query(
    `CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN RAISE 'the disk is gone' USING ERRCODE = '58030'; END $$;
     CREATE TRIGGER fail BEFORE INSERT ON nightwatch_requests FOR EACH STATEMENT EXECUTE FUNCTION fail()`,
  );
  const marks = await send("shrink", 300);
  await waitFor(() => claimsByWorker().length === 2, { description: "a batch for each worker" });
  expect(await agent.stop()).toBe(0);
  expect(claimsByWorker()).toEqual([0, 1]);
  await database.query("DROP TRIGGER fail ON nightwatch_requests");
  await agent.start({ MILLRACE_DRAIN_WORKERS: "1" });
  await expectLanded("shrink", marks);
});
