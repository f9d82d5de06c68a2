// From a started manager with at most one instance, where it can be told at run time to start more;
// supervisord has to be started anew. Needs the built packages, for ours, and supervisord; PM2 is
// installed into .cache/bench.
import { join } from "node:path";
import type { BenchOptions } from "../bench-options.ts";
import type { BenchReport, Measurement } from "../report/measurement.ts";
import { startLoad } from "./load.ts";
import type { Manager } from "./manager.ts";
import { MillraceManager } from "./millrace.ts";
import { Pm2Manager } from "./pm2.ts";
import { cpuMsOf, memoryOf, NewProcesses, pause, pidsOf, timeUntil } from "./processes.ts";
import { SupervisordManager } from "./supervisord.ts";

const cache = join(import.meta.dirname, "../../.cache/bench");
const program = join(import.meta.dirname, "http-server.ts");
const KILLS = 20;
const ROLLS = 3;
const IDLE_MS = 5_000;

type Metrics = Measurement["metrics"];

let unique = 100_000 + (process.pid % 10_000) * 10;

/** Ours, PM2 and supervisord in turns: the same work for each, with the same look at `/proc`. */
export async function benchSupervisor(options: BenchOptions): Promise<BenchReport> {
  await Pm2Manager.install(cache);
  // PM2 and supervisord start Node.js children without our flags.
  process.env["NODE_OPTIONS"] = process.execArgv.join(" ");
  const managers: Array<() => Manager> = [
    () => new MillraceManager(),
    () => new Pm2Manager(cache),
    () => new SupervisordManager(),
  ];
  const measurements: Measurement[] = [];
  for (let run = 1; run <= options.runs; run++) {
    let ourUpMs: number | undefined;
    for (const make of managers) {
      const { subject, metrics } = await measure(make);
      ourUpMs ??= metrics.hundredUpMs ?? Number.NaN;
      metrics.upOfMillrace = (metrics.hundredUpMs ?? Number.NaN) / ourUpMs;
      measurements.push({ subject, run, metrics });
      process.stderr.write(
        `run ${run} of ${options.runs}: ${subject}: ${JSON.stringify(metrics)}\n`,
      );
    }
  }
  return { postgresVersion: undefined, measurements };
}

async function measure(make: () => Manager): Promise<Pick<Measurement, "subject" | "metrics">> {
  const { manager, upMs: fiftyUpMs, words } = await bringUp(make, 50);
  const pid = manager.pid();
  await pause(IDLE_MS);
  const restarts = await restartLatencies(words);
  const { rss, pss } = memoryOf(pid);
  const cpuBefore = cpuMsOf(pid);
  await pause(IDLE_MS);
  const idleCpuPercent = ((cpuMsOf(pid) - cpuBefore) / IDLE_MS) * 100;
  process.kill(pid, "SIGKILL");
  await pause(4_000);
  const orphans = pidsOf(words);
  for (const orphan of orphans) process.kill(orphan, "SIGKILL");
  await manager.stop();
  const hundred = await bringUp(make, 100);
  await hundred.manager.stop();
  const metrics = {
    fiftyUpMs,
    hundredUpMs: hundred.upMs,
    ...restarts,
    residentMib: rss,
    proportionalMib: pss,
    idleCpuPercent,
    orphans: orphans.length,
    ...(await rollUnderLoad(make())),
  };
  return { subject: manager.name, metrics };
}

async function bringUp(make: () => Manager, count: number) {
  const manager = make();
  const seconds = String(++unique);
  // PM2 resolves the program's path, the others leave it as it is.
  const spellings = [
    ["sleep", seconds],
    ["/bin/sleep", seconds],
  ];
  const appearing = new NewProcesses(spellings);
  await manager.prepare(seconds);
  const startedAt = performance.now();
  const starting = manager.startSleepers(count, seconds);
  await timeUntil(() => appearing.count() >= count);
  const upMs = performance.now() - startedAt;
  await starting;
  const words = spellings.find((spelling) => pidsOf(spelling).length > 0) ?? [];
  return { manager, upMs, words };
}

async function restartLatencies(words: readonly string[]): Promise<Metrics> {
  const latencies: number[] = [];
  for (let kill = 0; kill < KILLS; kill++) {
    const [victim = 0] = pidsOf(words);
    const appearing = new NewProcesses([words]);
    process.kill(victim, "SIGKILL");
    latencies.push(await timeUntil(() => appearing.count() > 0));
    await pause(200);
  }
  const sorted = latencies.toSorted((left, right) => left - right);
  return { restartMs: sorted[KILLS / 2] ?? Number.NaN, restartMaxMs: sorted.at(-1) ?? Number.NaN };
}

async function rollUnderLoad(manager: Manager): Promise<Metrics> {
  const port = await manager.startServers(program);
  await pause(4_000);
  const load = startLoad(port, 200);
  for (let roll = 0; roll < ROLLS; roll++) {
    // PM2 sometimes refuses a reload that follows another ("process already started").
    await manager.roll().catch((error: unknown) => {
      process.stderr.write(`${manager.name} refused to roll: ${String(error).split("\n")[0]}\n`);
    });
  }
  const { sent, failed } = await load.stop();
  await manager.stop();
  return { failedRequests: failed, sentRequests: sent };
}
