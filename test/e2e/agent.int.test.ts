import { waitFor } from "@millrace/core/testing";
import {
  createTraffic,
  encodeFrame,
  hashToken,
  readRecords,
  RECORD_TYPES,
  sendOnce,
} from "@millrace/load";
import Sqlite from "better-sqlite3";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../setup/database.ts";
import { AgentProcess } from "./agent-process.ts";
import { differences, readRowsByMark } from "./compare-landed.ts";

const TOKEN = "e2e-token";
let database: TestDatabase;
let agent: AgentProcess;
let tokenHash: string;

beforeAll(async () => {
  database = await createTestDatabase();
  tokenHash = await hashToken(TOKEN);
  agent = await AgentProcess.create({
    databaseUrl: database.url,
    token: TOKEN,
  });
  await agent.start();
});

afterAll(async () => {
  await agent.remove();
  await database.drop();
});

test("1,400 records of all types, a connection for each payload, land once with every field the same", async () => {
  const sent = new Map<string, Record<string, unknown>>();
  const types = new Set<unknown>();
  const traffic = createTraffic({ seed: 7, run: "fields", maxRecords: 7 });
  while (sent.size < 1_400) {
    const { body, marks } = traffic.next();
    const records = JSON.parse(body.toString()) as Array<Record<string, unknown>>;
    for (const [index, record] of records.entries()) {
      sent.set(marks[index] ?? "", record);
      types.add(record["t"]);
    }
    expect(await sendOnce(agent.address, encodeFrame(body, tokenHash))).toBe("acknowledged");
  }
  const users = readRecords().filter((text) => text.includes('"t":"user"'));
  const userFrame = encodeFrame(`[${users.join(",")}]`, tokenHash);
  expect(await sendOnce(agent.address, userFrame)).toBe("acknowledged");
  expect(types.size + 1).toBe(RECORD_TYPES.length);

  await waitFor(() => agent.hasEmptyBuffer(), { timeoutMs: 20_000, description: "empty buffer" });
  const landed = await readRowsByMark(database.url);
  expect(landed.size).toBe(sent.size);
  const wrong = [...sent].flatMap(([mark, record]) => {
    const row = landed.get(mark);
    return row === undefined ? [`${mark} is lost`] : differences(record, row);
  });
  expect(wrong).toEqual([]);
  const [total] = await database.query<{ rows: string }>(
    `SELECT (SELECT count(*) FROM nightwatch_requests) + (SELECT count(*) FROM nightwatch_logs) AS rows`,
  );
  const requestsAndLogs = [...sent.values()].filter(({ t }) => t === "request" || t === "log");
  expect(Number(total?.rows)).toBe(requestsAndLogs.length);
  const landedUsers = await database.query<{ id: string; name: string; username: string }>(
    `SELECT id, name, username FROM nightwatch_users ORDER BY id`,
  );
  const expectedUsers = users
    .map((text) => JSON.parse(text) as { id: string; name: string; username: string })
    .map(({ id, name, username }) => ({ id, name, username }))
    .toSorted((a, b) => (a.id < b.id ? -1 : 1));
  expect(landedUsers).toEqual(expectedUsers);
  expect(await database.query("SELECT * FROM millrace_dead_letters")).toEqual([]);
});

test("health, readiness and metrics answer while it runs", async () => {
  const base = `http://127.0.0.1:${agent.opsPort}`;
  expect((await fetch(`${base}/healthz`)).status).toBe(200);
  expect((await fetch(`${base}/readyz`)).status).toBe(200);
  const metrics = await agent.metrics();
  expect(metrics).toMatch(/^millrace_ingest_payloads_total.* \d+$/m);
  expect(metrics).toMatch(/^millrace_drain_records_total\{table="nightwatch_requests"\} \d+$/m);
});

test("buffer_rows tells the truth while the agent runs without its database", async () => {
  const own = await createTestDatabase();
  const away = new URL(own.url);
  away.port = "1";
  const blind = await AgentProcess.create({
    databaseUrl: away.href,
    token: TOKEN,
  });
  await blind.start();
  try {
    for (let payload = 0; payload < 5; payload++) {
      await sendOnce(blind.address, encodeFrame('[{"t":"x"}]', tokenHash));
    }
    const shell = new Sqlite(blind.bufferPath, { readonly: true });
    const counts = shell.prepare("SELECT synced, count(*) AS rows FROM buffer_rows GROUP BY 1");
    expect(counts.all()).toEqual([{ synced: 0, rows: 5 }]);
    shell.close();
    expect(await blind.stop()).toBe(0);
  } finally {
    await blind.remove();
    await own.drop();
  }
});

test("SIGTERM ends it with 0 and nothing acknowledged left undrained", async () => {
  const traffic = createTraffic({ seed: 8, run: "sigterm" });
  const marks: string[] = [];
  for (let payload = 0; payload < 200; payload++) {
    const next = traffic.next();
    await sendOnce(agent.address, encodeFrame(next.body, tokenHash));
    marks.push(...next.marks);
  }
  expect(await agent.stop()).toBe(0);
  const landed = await readRowsByMark(database.url);
  expect(marks.filter((mark) => !landed.has(mark))).toEqual([]);
  const file = new Sqlite(agent.bufferPath, { readonly: true });
  expect(file.prepare("SELECT count(*) FROM payloads").pluck().get()).toBe(0);
  file.close();
});
