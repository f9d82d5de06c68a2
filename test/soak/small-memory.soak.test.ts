import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { createBuffer } from "@millrace/core/buffer";
import { createMemoryLogger, waitFor } from "@millrace/core/testing";
import { createPayloadStamper, encodeFrame, hashToken } from "@millrace/load";
import { startPostgres } from "@millrace/services";
import { Registry } from "prom-client";
import { expect, onTestFinished, test } from "vitest";
import { AgentProcess } from "../e2e/agent-process.ts";
import { residentMib } from "./process-usage.ts";

const TOKEN = "small-token";
const BACKLOG_BYTES = 2_000_000_000;
const RECORDS_PER_PAYLOAD = 10;
const CONNECTIONS = 1_000;
/** From an answer to the next frame of a connection, in milliseconds. */
const THINKING_MS = 500;
const SECONDS = 60;

/** As docs/guides/drain-tuning.md has it. */
const SMALL = {
  NODE_OPTIONS: "--max-semi-space-size=1 --max-old-space-size=64",
  MALLOC_ARENA_MAX: "1",
  MILLRACE_DRAIN_WORKERS: "1",
  MILLRACE_DRAIN_BATCH_BYTES: "500000",
  MILLRACE_DRAIN_WORKER_HEAP_MIB: "128",
};
const MAX_RESIDENT_MIB = 150;
/** What the last third of the samples may have over the second, in MiB. */
const MAX_GROWTH_MIB = 5;

/** As a user has it: sources, and what strips their types, take some 15 MiB more. @returns its main file. */
function buildAgent(): string {
  for (const name of ["core", "ingest", "drain"]) {
    execFileSync("npm", ["run", "build", "-w", `packages/${name}`], { stdio: "ignore" });
  }
  // Where packages are found from.
  const cache = join(import.meta.dirname, "../../node_modules/.cache");
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(join(cache, "agent-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const sources = join(import.meta.dirname, "../../examples/telemetry-agent");
  for (const file of ["main", "agent-config", "alert-channels"]) {
    const source = readFileSync(join(sources, `${file}.ts`), "utf8");
    const script = stripTypeScriptTypes(source).replaceAll('.ts";', '.mjs";');
    writeFileSync(join(folder, `${file}.mjs`), script);
  }
  return join(folder, "main.mjs");
}

async function fillBuffer(path: string): Promise<void> {
  const buffer = createBuffer({
    path,
    maxRows: 10_000_000,
    maxBytes: 2 * BACKLOG_BYTES,
    minFreeBytes: 0,
    logger: createMemoryLogger(),
    metrics: new Registry(),
  });
  const stamper = createPayloadStamper({ run: "small" });
  const records = () => stamper.next().toString().slice(1, -1);
  const nextPayload = () =>
    Buffer.from(`[${Array.from({ length: RECORDS_PER_PAYLOAD }, records).join()}]`);
  await buffer.start();
  while (buffer.status().bytes < BACKLOG_BYTES) {
    await Promise.all(Array.from({ length: 500 }, () => buffer.append(nextPayload())));
  }
  await buffer.close();
}

/** Sends a frame, and another some time after each answer. */
async function openSteady(agent: AgentProcess, frame: Buffer, onAnswer: () => void) {
  const socket: Socket = connect(agent.address);
  let timer: NodeJS.Timeout | undefined;
  socket.on("data", () => {
    onAnswer();
    timer = setTimeout(() => socket.write(frame), THINKING_MS);
  });
  socket.once("close", () => clearTimeout(timer));
  await once(socket, "connect");
  socket.write(frame);
  return socket;
}

test("an agent set up for it stays within 150 MiB with a backlog of 2 GB and 1,000 busy connections", async () => {
  const postgres = await startPostgres();
  onTestFinished(() => postgres.remove());
  const databaseUrl = await postgres.createDatabase("telemetry");
  const env = {
    ...SMALL,
    MILLRACE_BUFFER_MAX_ROWS: "10000000",
    MILLRACE_BUFFER_MAX_BYTES: String(2 * BACKLOG_BYTES),
  };
  const builtEntry = buildAgent();
  const settings = {
    databaseUrl,
    token: TOKEN,
    env,
    builtEntry,
    scrapeIntervalMs: 1_000,
  };
  const agent = await AgentProcess.create(settings);
  onTestFinished(() => agent.remove());
  await fillBuffer(agent.bufferPath);

  await agent.start();
  let answers = 0;
  const frame = encodeFrame('[{"t":"small"}]', await hashToken(TOKEN));
  const sockets = await Promise.all(
    Array.from({ length: CONNECTIONS }, () => openSteady(agent, frame, () => answers++)),
  );
  const landedRecords = async () => {
    const metrics = await agent.metrics();
    const tables = metrics.matchAll(/^millrace_drain_records_total\{.*\} (\d+)$/gm);
    return [...tables].reduce((sum, [, records]) => sum + Number(records), 0);
  };
  await waitFor(async () => (await landedRecords()) > 0 && answers > CONNECTIONS, {
    timeoutMs: 60_000,
    description: "records that land while clients are answered",
  });
  const landedBefore = await landedRecords();
  const answersBefore = answers;
  const samples: number[] = [];
  while (samples.length < SECONDS) {
    samples.push(residentMib(agent.pid));
    await delay(1_000);
  }
  const landed = (await landedRecords()) - landedBefore;
  for (const socket of sockets) socket.destroy();
  const third = Math.floor(SECONDS / 3);
  const growthMib = median(samples.slice(-third)) - median(samples.slice(third, 2 * third));
  console.log({
    what: "an agent in little memory, with a backlog of 2 GB and 1,000 connections",
    residentMib: { median: median(samples), max: Math.max(...samples), end: samples.at(-1) },
    growthMib,
    recordsLandedPerSecond: Math.round(landed / SECONDS),
    answersPerSecond: Math.round((answers - answersBefore) / SECONDS),
  });
  expect(landed).toBeGreaterThan(0);
  expect(answers - answersBefore).toBeGreaterThan(CONNECTIONS);
  expect(Math.max(...samples)).toBeLessThan(MAX_RESIDENT_MIB);
  expect(growthMib).toBeLessThan(MAX_GROWTH_MIB);
}, 300_000);

function median(samples: readonly number[]): number {
  return samples.toSorted((one, other) => one - other)[samples.length >> 1] ?? Number.NaN;
}
