import { waitFor } from "@millrace/core/testing";
import { startPostgres } from "@millrace/services";
import { expect, onTestFinished, test } from "vitest";
import { AgentProcess } from "./agent-process.ts";
import { findFaults, NO_FAULTS, readMarks } from "./landed-marks.ts";
import { type Load, startLoad } from "./load.ts";

const TOKEN = "sigterm-token";
/** Generous, for a busy machine: what it really takes is printed. */
const DEADLINE_MS = 20_000;

test("SIGTERM under load, with PostgreSQL there and then not, ends it soon with 0 and loses nothing", async () => {
  const service = await startPostgres();
  const databaseUrl = await service.createDatabase();
  const agent = await AgentProcess.create({
    databaseUrl,
    token: TOKEN,
  });
  const loads: Load[] = [];
  onTestFinished(async () => {
    for (const load of loads) await load.stop();
    await agent.remove();
    await service.remove();
  });
  const send = async (run: string) => {
    const { address } = agent;
    const load = await startLoad({ address, token: TOKEN, run, seed: 7, connections: 8 });
    loads.push(load);
    return load;
  };
  const receive = (load: Load, records: number) =>
    waitFor(() => load.acknowledged.length >= records, { timeoutMs: 20_000 });
  /** Clients go on sending throughout. */
  const stopTimed = async (what: string) => {
    const since = performance.now();
    expect(await agent.stop()).toBe(0);
    const ms = performance.now() - since;
    console.log(`SIGTERM under load, ${what}: ended after ${Math.round(ms)} ms`);
    expect(ms).toBeLessThan(DEADLINE_MS);
  };

  await agent.start();
  const first = await send("up");
  await receive(first, 2_000);
  await stopTimed("PostgreSQL there");
  await first.stop();
  expect(findFaults(await readMarks(databaseUrl, "up"), first)).toEqual(NO_FAULTS);

  await agent.start();
  const second = await send("down");
  await receive(second, 500);
  await service.kill();
  const before = second.acknowledged.length;
  await receive(second, before + 1_000);
  await stopTimed("PostgreSQL away");
  await second.stop();

  await service.start();
  await agent.start();
  await waitFor(
    async () => {
      const metrics = await (await fetch(`http://127.0.0.1:${agent.opsPort}/metrics`)).text();
      return /^millrace_buffer_rows 0$/m.test(metrics);
    },
    { timeoutMs: 60_000, description: "empty buffer" },
  );
  expect(findFaults(await readMarks(databaseUrl, "down"), second)).toEqual(NO_FAULTS);
});
