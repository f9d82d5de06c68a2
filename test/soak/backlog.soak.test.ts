import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { createBuffer } from "@millrace/core/buffer";
import { createMemoryLogger, waitFor } from "@millrace/core/testing";
import { createTraffic, encodeFrame, hashToken } from "@millrace/load";
import { startPostgres } from "@millrace/services";
import { Registry } from "prom-client";
import { expect, onTestFinished, test } from "vitest";
import { AgentProcess } from "../e2e/agent-process.ts";
import { findFaults, NO_FAULTS, readMarks } from "../e2e/landed-marks.ts";
import { memoryMib } from "./process-usage.ts";

const TOKEN = "backlog-token";
const MIB = 1024 * 1024;
const BACKLOG_BYTES = 200 * MIB;
/** What the agent may take for a backlog beyond what it takes without one, in MiB. */
const MAX_START_MIB = 48;
/** What two workers may take beyond that for the batches in hand, in MiB. */
const MAX_DRAIN_MIB = 500;
const CONNECTIONS = 1_000;
const FRAMES_PER_CONNECTION = 20;

/** Fills a buffer file as an agent does that has no database. @returns the marks of its records. */
async function fillBuffer(path: string): Promise<string[]> {
  const buffer = createBuffer({
    path,
    maxRows: 10_000_000,
    minFreeBytes: 0,
    logger: createMemoryLogger(),
    metrics: new Registry(),
  });
  await buffer.start();
  const traffic = createTraffic({ seed: 11, run: "backlog", maxRecords: 3 });
  const marks: string[] = [];
  for (let bytes = 0; bytes < BACKLOG_BYTES;) {
    const appends = Array.from({ length: 500 }, () => {
      const next = traffic.next();
      marks.push(...next.marks);
      bytes += next.body.byteLength;
      return buffer.append(next.body);
    });
    await Promise.all(appends);
  }
  await buffer.close();
  return marks;
}

/** Sends its frames, waits for all answers, and stays open. */
async function openBusy(agent: AgentProcess, frame: Buffer): Promise<Socket> {
  const socket = connect(agent.address);
  let answers = "";
  socket.on("data", (chunk) => (answers += String(chunk)));
  await once(socket, "connect");
  socket.write(Buffer.concat(Array.from({ length: FRAMES_PER_CONNECTION }, () => frame)));
  const expected = "2:OK".repeat(FRAMES_PER_CONNECTION);
  await waitFor(() => answers === expected, { timeoutMs: 60_000, description: "all answers" });
  return socket;
}

test("a backlog of 200 MB is not loaded at the start, drains whole, and 1,000 connections stay within memory", async () => {
  const postgres = await startPostgres();
  onTestFinished(() => postgres.remove());
  const databaseUrl = await postgres.createDatabase("telemetry");
  const env = { MILLRACE_BUFFER_MAX_ROWS: "10000000" };
  const settings = { databaseUrl, token: TOKEN, env };

  // What an agent takes that has nothing to do.
  const idle = await AgentProcess.create(settings);
  onTestFinished(() => idle.remove());
  await idle.start();
  const idleMib = memoryMib(idle.pid);
  await idle.stop();

  const agent = await AgentProcess.create(settings);
  onTestFinished(() => agent.remove());
  const marks = await fillBuffer(agent.bufferPath);
  await postgres.stop();
  const startedAt = performance.now();
  await agent.start();
  const readyAfterMs = performance.now() - startedAt;
  const startMib = memoryMib(agent.pid);
  expect(await agent.readMetric("millrace_buffer_rows")).toBeGreaterThan(50_000);

  await postgres.start();
  let drainMib = 0;
  const drainedFrom = performance.now();
  await waitFor(
    async () => {
      drainMib = Math.max(drainMib, memoryMib(agent.pid));
      return (await agent.readMetric("millrace_buffer_rows")) === 0;
    },
    { timeoutMs: 180_000, intervalMs: 200, description: "empty buffer" },
  );
  const drainSeconds = (performance.now() - drainedFrom) / 1_000;
  const landed = await readMarks(databaseUrl, "backlog");
  expect(findFaults(landed, { acknowledged: marks, unknown: [] })).toEqual(NO_FAULTS);

  const frame = encodeFrame('[{"t":"backlog"}]', await hashToken(TOKEN));
  const sockets = await Promise.all(
    Array.from({ length: CONNECTIONS }, () => openBusy(agent, frame)),
  );
  const connectedMib = memoryMib(agent.pid);
  for (const socket of sockets) socket.destroy();
  console.log({
    records: marks.length,
    readyAfterMs,
    drainSeconds,
    memoryMib: { idle: idleMib, start: startMib, drain: drainMib, connected: connectedMib },
  });
  expect(startMib).toBeLessThan(idleMib + MAX_START_MIB);
  expect(drainMib).toBeLessThan(idleMib + MAX_DRAIN_MIB);
  expect(connectedMib).toBeLessThan(drainMib + 100);
}, 300_000);
