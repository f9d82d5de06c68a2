/**
 * The harness against plain BullMQ in the same run, pair by pair: adding, saturation, an open loop of 500
 * jobs a second, a flood by one tenant, and growing numbers of tenants. See README.md beside it.
 */
import { gateRig, percentile, rawRig, redisCpuSeconds, type Rig } from "./rig.ts";

const RUNS = Number(process.env["RUNS"] ?? 3);
const SCALE = Number(process.env["SCALE"] ?? 1);
const CLASSES = ["urgent", "normal", "batch"] as const;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const round = (value: number, digits = 0) => Number(value.toFixed(digits));

async function withRig<Result>(make: () => Promise<Rig>, use: (rig: Rig) => Promise<Result>) {
  const rig = await make();
  try {
    return await use(rig);
  } finally {
    await rig.close();
  }
}

async function addMany(rig: Rig, count: number, tenant: (index: number) => string, inFlight = 50) {
  let next = 0;
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      while (next < count) {
        const index = next++;
        await rig.add(tenant(index), CLASSES[index % 3] ?? "normal");
      }
    }),
  );
}

async function waitUntil(isDone: () => boolean): Promise<void> {
  while (!isDone()) await pause(5);
}

async function measureAdd(rig: Rig) {
  const count = 20_000 * SCALE;
  await addMany(rig, 1_000, (index) => `t${index % 100}`);
  const startedAt = performance.now();
  await addMany(rig, count, (index) => `t${index % 100}`);
  return { "adds/s": round(count / ((performance.now() - startedAt) / 1_000)) };
}

async function measureSaturation(rig: Rig, tenantCount = 100) {
  const count = 20_000 * SCALE;
  await addMany(rig, count, (index) => `t${index % tenantCount}`);
  const cpu = await redisCpuSeconds(rig.redis);
  const startedAt = performance.now();
  const worker = await rig.work({ concurrency: 100, workMs: 0, onStart: () => {} });
  await waitUntil(() => worker.done() >= count);
  const seconds = (performance.now() - startedAt) / 1_000;
  const used = (await redisCpuSeconds(rig.redis)) - cpu;
  const activations = worker.starts() / count;
  await worker.stop();
  return {
    "jobs/s": round(count / seconds),
    "redis us/job": round((used * 1e6) / count, 1),
    "activations/job": round(activations, 3),
  };
}

async function measureOpenLoop(rig: Rig) {
  const waits: number[] = [];
  const worker = await rig.work({
    concurrency: 100,
    workMs: 5,
    onStart: ({ at }) => waits.push(performance.now() - at),
  });
  const count = 500 * 8 * SCALE;
  const startedAt = performance.now();
  const adding: Array<Promise<unknown>> = [];
  for (let index = 0; index < count; index++) {
    const dueMs = startedAt + index * 2 - performance.now();
    if (dueMs > 1) await pause(dueMs);
    adding.push(rig.add(`t${index % 100}`, CLASSES[index % 3] ?? "normal"));
  }
  await Promise.all(adding);
  await waitUntil(() => worker.done() >= count);
  await worker.stop();
  return {
    "p50 ms": round(percentile(waits, 0.5), 2),
    "p99 ms": round(percentile(waits, 0.99), 1),
  };
}

async function measureFlood(rig: Rig) {
  await addMany(rig, 10_000, () => "loud");
  const quiet: number[] = [];
  const worker = await rig.work({
    concurrency: 20,
    workMs: 20,
    onStart: ({ tenantId, at }) => {
      if (tenantId !== "loud") quiet.push(performance.now() - at);
    },
  });
  const count = 80 * 8;
  const startedAt = performance.now();
  for (let index = 0; index < count; index++) {
    const dueMs = startedAt + index * 12.5 - performance.now();
    if (dueMs > 0) await pause(dueMs);
    void rig.add(`quiet${index % 20}`, "normal");
  }
  await waitUntil(() => quiet.length >= count);
  const activations = worker.starts() / Math.max(1, worker.done());
  await worker.stop();
  return {
    "quiet p50 ms": round(percentile(quiet, 0.5), 1),
    "quiet p99 ms": round(percentile(quiet, 0.99), 1),
    "activations/job": round(activations, 3),
  };
}

const scenarios: Array<
  [name: string, rigs: Array<() => Promise<Rig>>, measure: (rig: Rig) => Promise<object>]
> = [
  ["add, 50 in flight", [rawRig, () => gateRig(4)], measureAdd],
  [
    "saturation, c=100, no-op, 100 tenants",
    [rawRig, () => gateRig(4)],
    (rig) => measureSaturation(rig),
  ],
  ["open loop, 500 jobs/s of 5 ms", [rawRig, () => gateRig(20)], measureOpenLoop],
  ["flood of 10,000 beside 80 jobs/s of 20 tenants", [rawRig, () => gateRig(4)], measureFlood],
  ["1,000 tenants", [() => gateRig(4)], (rig) => measureSaturation(rig, 1_000)],
  ["5,000 tenants", [() => gateRig(4)], (rig) => measureSaturation(rig, 5_000)],
];

const rows: Array<Record<string, string | number>> = [];
for (const [scenario, rigs, measure] of scenarios) {
  for (let run = 1; run <= RUNS; run++) {
    for (const make of rigs) {
      const row = await withRig(make, async (rig) => ({
        scenario,
        rig: rig.name,
        run,
        ...(await measure(rig)),
      }));
      rows.push(row);
      process.stderr.write(`${JSON.stringify(row)}\n`);
    }
  }
}
process.stdout.write(`${JSON.stringify(rows, undefined, 1)}\n`);
