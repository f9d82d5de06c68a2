import { setTimeout as delay } from "node:timers/promises";
import { waitFor } from "@millrace/core/testing";
import { type PostgresService, startPostgres } from "@millrace/services";
import { afterAll, beforeAll, expect, test } from "vitest";
import { AgentProcess } from "../e2e/agent-process.ts";
import { findFaults, NO_FAULTS, readMarks } from "../e2e/landed-marks.ts";
import { startLoad } from "../e2e/load.ts";
import { cpuSeconds, memoryMib } from "./process-usage.ts";

const TOKEN = "outage-token";
const OUTAGE_SECONDS = 70;
/** Enough for the buffer to fill and the process to reach its size. */
const WARM_UP_SECONDS = 20;
/** The longest pause between two tries, in milliseconds. */
const BACKOFF_CAP_MS = 30_000;

let postgres: PostgresService;
let agent: AgentProcess;

beforeAll(async () => {
  postgres = await startPostgres();
  agent = await AgentProcess.create({
    databaseUrl: await postgres.createDatabase("telemetry"),
    token: TOKEN,
    env: { MILLRACE_BUFFER_MAX_ROWS: "4000" },
  });
  await agent.start();
});

afterAll(async () => {
  await agent.remove();
  await postgres.remove();
});

test(`${OUTAGE_SECONDS} s without PostgreSQL under load: nothing lost or doubled, memory flat, few lines, landing within one pause`, async () => {
  const { address } = agent;
  const load = await startLoad({ address, token: TOKEN, run: "out", seed: 3, connections: 4 });
  await waitFor(async () => (await agent.readMetric("millrace_drain_batches_total")) > 0, {
    timeoutMs: 20_000,
  });
  const linesBefore = agent.lines.length;
  await postgres.stop("immediate");
  const cpuBefore = cpuSeconds(agent.pid);
  const memory: number[] = [];
  for (let second = 0; second < OUTAGE_SECONDS; second++) {
    await delay(1_000);
    memory.push(memoryMib(agent.pid));
  }
  const cpu = cpuSeconds(agent.pid) - cpuBefore;
  // It is full, says so to clients, and takes no more than it may hold.
  expect(await agent.readMetric("millrace_buffer_rows")).toBe(4_000);
  const acknowledged = load.acknowledged.length;
  const flat = memory.slice(WARM_UP_SECONDS);
  const growth = Math.max(...flat) - (flat[0] ?? 0);

  await postgres.start();
  const recoveredAt = performance.now();
  await waitFor(() => load.acknowledged.length > acknowledged, {
    timeoutMs: BACKOFF_CAP_MS + 5_000,
    description: "room in the buffer again",
  });
  const resumedAfterMs = performance.now() - recoveredAt;
  await load.stop();
  await waitFor(() => agent.hasEmptyBuffer(), {
    timeoutMs: 60_000,
    description: "empty buffer",
  });
  console.log({
    cpuSeconds: cpu,
    memoryMib: [memory[0], flat[0], Math.max(...flat)],
    resumedAfterMs,
    records: load.acknowledged.length,
    lines: agent.lines.slice(linesBefore),
  });
  const url = new URL(postgres.url);
  url.pathname = "telemetry";
  expect(findFaults(await readMarks(url.href, "out"), load)).toEqual(NO_FAULTS);
  // Were what is refused kept, it would be some 200 MiB; the collector lets garbage lie up to 60.
  expect(growth).toBeLessThan(100);
  // PostgreSQL away, PostgreSQL back, and a line a minute of what clients were refused.
  expect(agent.lines.length - linesBefore).toBeLessThan(20);
}, 240_000);
