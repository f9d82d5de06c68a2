// Everything that process scaling is for, one after the other, on real processes. Ends by itself.
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { silentLogger } from "@millrace/core";
import {
  availableCpus,
  cpu,
  createSupervisor,
  memory,
  queueDepth,
  schedule,
  steps,
} from "@millrace/supervisor";

const run = promisify(execFile);
const token = "a-secret-for-this-example";
const folder = mkdtempSync(join(tmpdir(), "process-scaling-"));
const here = (name: string): string => new URL(name, import.meta.url).pathname;

let depth = 0;
const tiers = steps([
  { above: 1000, instances: 20 },
  { above: 500, instances: 10 },
  { above: 100, instances: 5 },
  { instances: 2 },
]);

const supervisor = createSupervisor({
  logger: silentLogger,
  api: { port: 0, tokens: [{ name: "example", token }] },
  processes: {
    // Three instances with ids and numbers of their own.
    "queue-default": {
      module: new URL("./queue-worker.ts", import.meta.url),
      args: ["--id=${INSTANCE_NUMBER}"],
      scale: 3,
      maxScale: 20,
    },
    // The tiers as a policy: 2, 5, 10 or 20 workers by the depth of the queue.
    "queue-policy": {
      command: ["sleep", "1000"],
      scale: 2,
      autoscale: {
        inputs: [queueDepth({ depth: () => depth }, { steps: tiers })],
        intervalMs: 100,
        up: { policies: [] },
        down: { stabilizationMs: 500, policies: [] },
      },
    },
    // The same tiers from outside, by a script against the API.
    "queue-external": { command: ["sleep", "1000"], scale: 2 },
    // One worker per processor that the container may use, and more while they are busy.
    "cpu-workers": {
      command: ["sleep", "1000"],
      scale: "${CPU_COUNT}",
      autoscale: [cpu({ target: 0.7 })],
    },
    // As many as fit into 2 GB at 400 MB each.
    "memory-workers": {
      command: ["sleep", "1000"],
      autoscale: {
        inputs: [memory({ perInstance: "400MB", budget: "2GB" }), cpu()],
        intervalMs: 100,
      },
    },
    // Ten from 9 to 18 o'clock, two otherwise.
    "office-hours": {
      command: ["sleep", "1000"],
      scale: 2,
      autoscale: {
        intervalMs: 100,
        inputs: [
          schedule([
            { cron: "0 9 * * *", min: 10, max: 10, timezone: "Europe/Copenhagen" },
            { cron: "0 18 * * *", min: 2, max: 2, timezone: "Europe/Copenhagen" },
          ]),
        ],
      },
    },
    shards: { command: [here("shard-worker.sh"), "${INSTANCE_NUMBER}"], scale: 3 },
    app: { command: ["sleep", "1000"], env: { RELEASE: "stable" }, scale: 10 },
    web: {
      module: new URL("./api-server.ts", import.meta.url),
      scale: 3,
      listen: 0,
      health: { readiness: { type: "ipc" } },
    },
  },
});

await supervisor.start();
await supervisor.whenReady("queue-default");
await supervisor.whenReady("web");
const url = supervisor.status().apiUrl ?? "";

title("Three instances with ids and numbers");
for (const { name, pid } of supervisor.process("queue-default").instances) console.log(name, pid);
await until(() => supervisor.logs("queue-default").length >= 3);
for (const { message } of supervisor.logs("queue-default")) console.log(message);

title("From 3 to 10 and back with curl");
const before = pids("queue-default");
await curlScale(10);
await until(() => supervisor.process("queue-default").counts.ready === 10);
check(
  before.every((pid) => pids("queue-default").includes(pid)),
  "the first three kept running",
);
await curlScale(3);
await until(() => supervisor.process("queue-default").instances.length === 3);

title("Queue depth, as a policy");
for (const [waiting, wanted] of [
  [1200, 20],
  [700, 10],
  [200, 5],
  [0, 2],
] as const) {
  depth = waiting;
  await until(() => supervisor.process("queue-policy").scale === wanted);
  console.log(`depth ${waiting}: ${wanted} workers`);
}

title("Queue depth, by a script");
const depthFile = join(folder, "depth");
const environment = { ...process.env, API_URL: url, TOKEN: token, DEPTH_FILE: depthFile };
for (const [waiting, wanted] of [
  [750, 10],
  [50, 2],
] as const) {
  writeFileSync(depthFile, String(waiting));
  const script = await run(here("auto-scale.sh"), [], {
    env: { ...environment, ROUNDS: "1", INTERVAL: "0" },
  });
  process.stdout.write(script.stdout);
  await until(() => supervisor.process("queue-external").scale === wanted);
}

title("By processors, memory and time of day");
check(supervisor.process("cpu-workers").desired >= 1, `${availableCpus()} processors`);
await until(() => supervisor.decisions().some(({ process }) => process === "memory-workers"));
console.log(newestReason("memory-workers"));
await until(() => [2, 10].includes(supervisor.process("office-hours").scale));
console.log(`office hours: ${supervisor.process("office-hours").scale} workers`);

title("Gradually from 2 to 20 in steps of 2");
const gradual = supervisor.scale("queue-external", 20, { step: 2, delayMs: 50 });
const seen = new Set<number>();
const stopListening = supervisor.on("operation:changed", ({ id, done }) => {
  if (id === gradual.id) seen.add(done + 2);
});
await gradual.done;
stopListening();
console.log([...seen].join(" "));

title("Nine stable, one canary: promoted, then another one aborted");
const promoted = await supervisor.canary("app", {
  patch: { env: { RELEASE: "canary" } },
  steps: [1],
  holdMs: 200,
  intervalMs: 50,
  verdict: ({ stable, canary }) => {
    check(stable.length === 9 && canary.length === 1, "9 : 1");
    return "promote";
  },
}).done;
check(promoted.state === "succeeded", "promoted");
const aborted = await supervisor.canary("app", {
  patch: { env: { RELEASE: "broken" } },
  holdMs: 10_000,
  verdict: () => "abort",
}).done;
check(aborted.state === "failed", `aborted: ${aborted.error?.message}`);

title("One shard per instance");
await until(() => supervisor.logs("shards").length === 3);
for (const { message } of supervisor.logs("shards")) console.log(message);

title("HTTP workers on one port, replaced without a failed request");
const port = supervisor.process("web").instances[0]?.port;
const answers = new Map<string, number>();
const rolling = supervisor.restart("web");
let requests = 0;
while (rolling.status().endedAt === undefined) {
  const answer = await (await fetch(`http://127.0.0.1:${port}/`)).text();
  answers.set(answer, (answers.get(answer) ?? 0) + 1);
  requests++;
}
check((await rolling.done).state === "succeeded", `${requests} requests, none failed`);
console.log(Object.fromEntries(answers));

await supervisor.close();
rmSync(folder, { recursive: true });

async function curlScale(desired: number): Promise<void> {
  const { stdout } = await run("curl", [
    "-s",
    "-X",
    "POST",
    "-H",
    `Authorization: Bearer ${token}`,
    "-H",
    "Content-Type: application/json",
    "-d",
    JSON.stringify({ desired }),
    `${url}/api/v1/processes/queue-default/scale`,
  ]);
  console.log(stdout);
}

function pids(name: string): Array<number | null> {
  return supervisor.process(name).instances.map(({ pid }) => pid);
}

function newestReason(name: string): string {
  return supervisor.decisions().findLast(({ process }) => process === name)?.reason ?? "";
}

function title(text: string): void {
  console.log(`\n${text}`);
}

function check(condition: boolean, what: string): void {
  if (!condition) throw new Error(`not so: ${what}`);
  console.log(what);
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`did not happen: ${condition.toString()}`);
    await new Promise((resolve) => {
      setTimeout(resolve, 10);
    });
  }
}
