/**
 * The harness against plain BullMQ in the same run, pair by pair: adding, saturation, an open loop of 500
 * jobs a second, a flood by one tenant, and growing numbers of tenants. See README.md beside it.
 */
import type { BenchOptions } from "../bench-options.ts";
import type { BenchReport, Measurement } from "../report/measurement.ts";
import { reportProgress } from "../report/progress.ts";
import { gateRig, percentile, rawRig, redisCpuSeconds, type Rig } from "./rig.ts";

const CLASSES = ["urgent", "normal", "batch"] as const;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

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
  const count = 20_000;
  await addMany(rig, 1_000, (index) => `t${index % 100}`);
  const startedAt = performance.now();
  await addMany(rig, count, (index) => `t${index % 100}`);
  return { jobsPerSecond: count / ((performance.now() - startedAt) / 1_000) };
}

async function measureSaturation(rig: Rig, tenantCount = 100) {
  const count = 20_000;
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
    jobsPerSecond: count / seconds,
    redisMicrosPerJob: (used * 1e6) / count,
    activationsPerJob: activations,
  };
}

async function measureOpenLoop(rig: Rig) {
  const waits: number[] = [];
  const worker = await rig.work({
    concurrency: 100,
    workMs: 5,
    onStart: ({ at }) => waits.push(performance.now() - at),
  });
  const count = 500 * 8;
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
    startP50Ms: percentile(waits, 0.5),
    startP99Ms: percentile(waits, 0.99),
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
    startP50Ms: percentile(quiet, 0.5),
    startP99Ms: percentile(quiet, 0.99),
    activationsPerJob: activations,
  };
}

type Subject = readonly [
  name: string,
  rigs: ReadonlyArray<() => Promise<Rig>>,
  measure: (rig: Rig) => Promise<Measurement["metrics"]>,
];

const SUBJECTS: readonly Subject[] = [
  ["add, 50 in flight", [rawRig, () => gateRig(4)], measureAdd],
  ["saturation, no-op", [rawRig, () => gateRig(4)], (rig) => measureSaturation(rig)],
  ["open loop, 500/s of 5 ms", [rawRig, () => gateRig(20)], measureOpenLoop],
  ["flood, quiet tenants", [rawRig, () => gateRig(4)], measureFlood],
  ["1,000 tenants", [() => gateRig(4)], (rig) => measureSaturation(rig, 1_000)],
  ["5,000 tenants", [() => gateRig(4)], (rig) => measureSaturation(rig, 5_000)],
];

/** The harness against plain BullMQ, each over a Redis of its own, in turns. */
export async function benchQueue(options: BenchOptions): Promise<BenchReport> {
  const measurements: Measurement[] = [];
  for (const [name, rigs, measure] of SUBJECTS) {
    for (let run = 1; run <= options.runs; run++) {
      const round = new Map<string, Measurement["metrics"]>();
      // Whoever comes second may find a warmer machine: in turns.
      for (const make of run % 2 === 1 ? rigs : rigs.toReversed()) {
        const measured = await withRig(make, async (rig) => {
          const metrics = await measure(rig);
          round.set(rig.name, metrics);
          return { subject: `${name}: ${rig.name}`, run, metrics };
        });
        measurements.push(measured);
      }
      const [raw, gate] = [round.get("raw"), round.get("gate")];
      if (raw?.jobsPerSecond && gate?.jobsPerSecond) {
        gate.ofRaw = gate.jobsPerSecond / raw.jobsPerSecond;
      }
      for (const measured of measurements.slice(-round.size)) {
        reportProgress(measured, options.runs);
      }
    }
  }
  return { postgresVersion: undefined, measurements };
}
