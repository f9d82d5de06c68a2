import { type ChildProcess, spawn } from "node:child_process";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { waitFor } from "@millrace/core/testing";
import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "../src/host/clock.ts";
import { listPids, readEnvironment } from "../src/process/proc-stat.ts";
import { StateKeeper } from "../src/state/state-keeper.ts";
import { findSurvivors } from "../src/state/survivors.ts";
import { execArgv, fixture } from "./fixtures/fixture.ts";
import { freePorts } from "./fixtures/free-ports.ts";
import { isRunning, pidsOf, startSupervisor } from "./fixtures/start-supervisor.ts";
import { temporaryFolder } from "./fixtures/temporary-folder.ts";

const FOREVER_MS = 3_600_000;

/** A server that accepts and never answers. */
async function silentServer(): Promise<number> {
  const server = createServer(() => {});
  server.listen(0, "127.0.0.1");
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  await waitFor(() => server.listening);
  return (server.address() as AddressInfo).port;
}

function startProgram(
  mark: string,
  options: object,
  ...names: string[]
): { program: ChildProcess; said: string[] } {
  const program = spawn(
    process.execPath,
    [...execArgv, fixture("lets-go.ts"), JSON.stringify(options), ...names],
    { stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, UNREF_TEST: mark } },
  );
  onTestFinished(() => void program.kill("SIGKILL"));
  const said: string[] = [];
  program.stdout?.on("data", (chunk: Buffer) => said.push(...chunk.toString().trim().split("\n")));
  return { program, said };
}

function exitOf(program: ChildProcess): Promise<{ code: number | null; signal: string | null }> {
  return new Promise((resolve) => {
    program.once("close", (code, signal) => resolve({ code, signal }));
  });
}

function marked(mark: string): number[] {
  return listPids().filter(
    (pid) => isRunning(pid) && readEnvironment(pid).get("UNREF_TEST") === mark,
  );
}

test("a supervisor keeps its program alive until it is let go of, whatever is open and runs", async () => {
  const folder = temporaryFolder();
  const silent = { type: "http", port: await silentServer(), timeoutMs: FOREVER_MS };
  const hanging = { command: ["sleep", "1000"], timeoutMs: FOREVER_MS };
  const kept = { command: ["sleep", "1000"], onSupervisorDeath: "survive" as const };
  const state = { file: join(folder, "state.json") };
  const mark = `unref-${process.pid}`;
  const { program, said } = startProgram(
    mark,
    {
      state,
      api: { port: 0 },
      processes: {
        kept,
        trigger: { command: ["sleep", "1000"] },
        ticker: {
          command: ["sh", "-c", "while :; do echo tick; sleep 0.02; done"],
          logs: { file: join(folder, "ticker.log"), multiline: true },
        },
        talker: {
          module: fixture("says-ready.ts"),
          execArgv,
          health: { readiness: { type: "ipc" }, liveness: { type: "ipc", timeoutMs: 5_000 } },
        },
        clustered: {
          module: fixture("http-server.ts"),
          execArgv,
          listen: { port: await freePorts(1), cluster: true },
          health: { readiness: { type: "ipc" } },
        },
        shared: { command: ["sleep", "1000"], scale: 0, listen: { port: 0, onDemand: true } },
        crashing: { command: ["false"] },
        asked: {
          command: ["sleep", "1000"],
          health: { readiness: { type: "exec", ...hanging }, liveness: silent },
        },
        hooked: { command: ["sleep", "1000"], hooks: { postStart: hanging } },
        scheduled: { command: ["sleep", "1000"], schedule: "* * * * * *" },
      },
    },
    "talker",
    "clustered",
  );
  const apiUrl = await waitFor(
    () => said.find((line) => line.startsWith("up "))?.slice("up ".length),
    { timeoutMs: 20_000 },
  );
  // Nothing else of the program waits for anything, and yet it goes on.
  said.length = 0;
  await waitFor(() => said.length >= 20, { timeoutMs: 20_000 });
  const events = await fetch(`${apiUrl}/api/v1/events`);
  const cut = events.text().catch(() => "cut");
  const exited = exitOf(program);
  const scaled = await fetch(`${apiUrl}/api/v1/processes/trigger/scale`, {
    method: "POST",
    body: JSON.stringify({ desired: 2 }),
  });
  expect(scaled.status).toBe(202);
  expect(await exited).toEqual({ code: 0, signal: null });
  expect(await cut).toBe("cut");
  // As after its death, what may survive is all that does, and the next one takes it over.
  const survivors = findSurvivors(new StateKeeper(state.file, systemClock).id, undefined);
  await expect
    .poll(() => marked(mark), { timeout: 5_000 })
    .toEqual(survivors.map(({ pid }) => pid));
  const next = await startSupervisor({ processes: { kept }, state });
  expect(pidsOf(next, "kept")).toEqual({ "kept-1": survivors[0]?.pid });
});

test("a supervisor keeps its program alive while all that it has is a schedule, and until it is closed", async () => {
  const { program, said } = startProgram(`unref-scheduled-${process.pid}`, {
    processes: { ticker: { command: ["echo", "tick"], schedule: "* * * * * *" } },
  });
  await waitFor(() => said.filter((line) => line === "tick").length >= 2, { timeoutMs: 20_000 });
  const exited = exitOf(program);
  program.kill("SIGTERM");
  expect(await exited).toEqual({ code: 0, signal: null });
  expect(said).toContain("closed");
});
