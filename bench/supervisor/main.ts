// Ours against PM2 and supervisord, in one run on one machine. Prints a table in Markdown.
//
// From a started manager with at most one instance, where it can be told at run time to start more;
// supervisord has to be started anew.
//
//   npm run build
//   node --conditions=@millrace/source bench/supervisor/main.ts
//
// Needs supervisord (apt-get install supervisor); PM2 is installed into .cache/bench.
import { join } from "node:path";
import { startLoad } from "./load.ts";
import type { Manager } from "./manager.ts";
import { MillraceManager } from "./millrace.ts";
import { Pm2Manager } from "./pm2.ts";
import { cpuMsOf, memoryOf, pidsOf, timeUntil } from "./processes.ts";
import { SupervisordManager } from "./supervisord.ts";

const cache = join(import.meta.dirname, "../../.cache/bench");
const program = join(import.meta.dirname, "http-server.ts");
const KILLS = 20;
const ROLLS = Number(process.env["ROLLS"] ?? 10);
const IDLE_MS = 5_000;

await Pm2Manager.install(cache);
// PM2 and supervisord start Node.js children without our flags.
process.env["NODE_OPTIONS"] = process.execArgv.join(" ");
const managers: Array<() => Manager> = [
  () => new MillraceManager(),
  () => new Pm2Manager(cache),
  () => new SupervisordManager(),
];
let unique = 100_000 + (process.pid % 10_000) * 10;
const rows: string[][] = [];
for (const make of managers) rows.push(await measure(make));
const headers = [
  "manager",
  "50 up",
  "100 up",
  "restart median (max)",
  "RSS / PSS with 50",
  "CPU idle with 50",
  "failed in rolls",
  "orphans of 50",
];
const table = [headers, headers.map(() => "---"), ...rows];
process.stdout.write(`${table.map((row) => `| ${row.join(" | ")} |`).join("\n")}\n`);

async function measure(make: () => Manager): Promise<string[]> {
  const fifty = await bringUp(make, 50);
  const { manager, words } = fifty;
  const pid = manager.pid();
  await timeUntil(() => false, 12_000).catch(() => {});
  const restarts = await restartLatencies(words);
  const { rss, pss } = memoryOf(pid);
  const cpuBefore = cpuMsOf(pid);
  await timeUntil(() => false, IDLE_MS).catch(() => {});
  const idle = ((cpuMsOf(pid) - cpuBefore) / IDLE_MS) * 100;
  process.kill(pid, "SIGKILL");
  await timeUntil(() => false, 4_000).catch(() => {});
  const orphans = pidsOf(words);
  for (const orphan of orphans) process.kill(orphan, "SIGKILL");
  await manager.stop();
  const hundred = await bringUp(make, 100);
  await hundred.manager.stop();
  const rolled = await rollUnderLoad(make());
  return [
    manager.name,
    `${Math.round(fifty.upMs)} ms`,
    `${Math.round(hundred.upMs)} ms`,
    restarts,
    `${rss.toFixed(1)} / ${pss.toFixed(1)} MiB`,
    `${idle.toFixed(1)} %`,
    rolled,
    String(orphans.length),
  ];
}

async function bringUp(make: () => Manager, count: number) {
  const manager = make();
  const words = ["sleep", String(++unique)];
  await manager.prepare(words[1] ?? "");
  const startedAt = performance.now();
  const starting = manager.startSleepers(count, words[1] ?? "");
  const named = () => [...pidsOf(words), ...pidsOf(["/bin/sleep", words[1] ?? ""])];
  await timeUntil(() => named().length >= count);
  const upMs = performance.now() - startedAt;
  await starting;
  const [sample] = pidsOf(words);
  return { manager, upMs, words: sample === undefined ? ["/bin/sleep", words[1] ?? ""] : words };
}

async function restartLatencies(words: readonly string[]): Promise<string> {
  const latencies: number[] = [];
  for (let kill = 0; kill < KILLS; kill++) {
    const before = new Set(pidsOf(words));
    const [victim = 0] = before;
    process.kill(victim, "SIGKILL");
    latencies.push(await timeUntil(() => pidsOf(words).some((pid) => !before.has(pid))));
    await timeUntil(() => false, 200).catch(() => {});
  }
  const sorted = latencies.toSorted((left, right) => left - right);
  return `${(sorted[KILLS / 2] ?? 0).toFixed(1)} ms (${(sorted.at(-1) ?? 0).toFixed(0)})`;
}

async function rollUnderLoad(manager: Manager): Promise<string> {
  const port = await manager.startServers(program);
  await timeUntil(() => false, 4_000).catch(() => {});
  const load = startLoad(port, 200);
  let refused = 0;
  // PM2 sometimes refuses a reload that follows another ("process already started").
  for (let roll = 0; roll < ROLLS; roll++) await manager.roll().catch(() => refused++);
  const { sent, failed } = await load.stop();
  await manager.stop();
  return `${failed} of ${sent} (${ROLLS} rolls${refused > 0 ? `, ${refused} refused` : ""})`;
}
