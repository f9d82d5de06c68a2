import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { waitFor } from "@millrace/core/testing";
import { openFixture } from "./fixture.ts";
import { redisService } from "./redis.ts";
import { violationsAtRest } from "./violations-at-rest.ts";

const WORKER = new URL("../fixtures/kill-worker.ts", import.meta.url).pathname;

export interface KillRunOptions {
  jobs: number;
  tenants: number;
  /** What the gate is told; the checker always expects at most 3. */
  gateCap: number;
  killEveryMs: number | undefined;
  timeoutMs: number;
}

export interface KillRunReport {
  kills: number;
  lost: string[];
  capViolations: number;
  highest: number;
  completedTwice: number;
  /** Second executions that did not carry a higher fence. */
  badFences: number;
  gateViolations: string[];
  leftInQueue: number;
  activeTenants: string[];
}

const CAP = 3;

/** Runs jobs on processes that are killed at random, while caps change and people meddle. */
export async function killRun(options: KillRunOptions): Promise<KillRunReport> {
  const fixture = await openFixture({ retryBackoffMs: 50 });
  const { queue, client, prefix } = fixture;
  const name = (index: number) => `t${index % options.tenants}`;
  await Promise.all(
    Array.from({ length: options.tenants }, (_, index) =>
      fixture.allow(name(index), { maxConcurrent: options.gateCap }),
    ),
  );
  const children = new Set<ChildProcess>();
  const start = async () => {
    const child = spawn(
      process.execPath,
      ["--conditions=@millrace/source", WORKER, redisService.url, prefix, "10"],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    children.add(child);
    await once(child.stdout as NodeJS.ReadableStream, "data");
    return child;
  };
  const removed = new Set<string>();
  let kills = 0;
  const over = new AbortController();
  const log = (text: string) => client.xadd(`${prefix}:log`, "*", "e", text);
  const kill = async (child: ChildProcess) => {
    children.delete(child);
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
    await log(`K ${child.pid}`);
    kills++;
  };

  try {
    await Promise.all([start(), start(), start()]);
    const ids: string[] = [];
    const meddling = options.killEveryMs === undefined ? Promise.resolve() : meddle();
    for (let from = 0; from < options.jobs; from += 200) {
      const batch = Array.from(
        { length: Math.min(200, options.jobs - from) },
        (_, index) => from + index,
      );
      const added = await queue.addBulk(
        batch.map((index) => ({
          tenantId: name(index),
          data: { index },
          jobId: `j${index}`,
          attempts: 20,
          priority: (["urgent", "normal", "batch"] as const)[index % 3],
        })),
      );
      for (const task of added) {
        if (task instanceof Error) throw task;
        ids.push(task.taskId);
      }
    }
    const remaining = async () => {
      const counts = await queue.bullmq.getJobCounts("wait", "prioritized", "active", "delayed");
      return Object.values(counts).reduce((sum, count) => sum + count, 0);
    };
    await waitFor(async () => (await remaining()) === 0, {
      timeoutMs: options.timeoutMs,
      intervalMs: 50,
      description: "all jobs to end",
    });
    over.abort();
    await meddling;
    await waitFor(async () => (await queue.gate.activeTenants()).length === 0, {
      timeoutMs: 10_000,
      description: "all slots to come back",
    }).catch(() => {});
    return {
      kills,
      ...judge(await client.xrange(`${prefix}:log`, "-", "+"), ids, removed),
      gateViolations: await violationsAtRest(queue),
      leftInQueue: await remaining(),
      activeTenants: await queue.gate.activeTenants(),
    };

    async function meddle(): Promise<void> {
      while (!over.signal.aborted) {
        await new Promise((resolve) => setTimeout(resolve, options.killEveryMs));
        const [victim] = [...children].toSorted(() => Math.random() - 0.5);
        if (victim) await kill(victim);
        await start();
        const tenant = name(Math.floor(Math.random() * options.tenants));
        await fixture.allow(tenant, { maxConcurrent: 1 + Math.floor(Math.random() * CAP) });
        const [promoted, removable] = await client.zrange(
          `${queue.keys.gate}s:${tenant}`,
          "0",
          "1",
        );
        if (promoted)
          await queue.bullmq.getJob(promoted).then((job) => job?.promote().catch(() => {}));
        if (removable && (await queue.bullmq.remove(removable)) === 1) removed.add(removable);
      }
    }
  } finally {
    over.abort();
    for (const child of children) {
      const gone = once(child, "exit");
      child.kill("SIGKILL");
      await gone;
    }
    await client.del(`${prefix}:log`);
    await fixture.close();
  }
}

function judge(
  entries: Array<[string, string[]]>,
  ids: readonly string[],
  removed: ReadonlySet<string>,
) {
  const running = new Map<string, { pid: string; tenant: string }>();
  const ends = new Map<string, number[]>();
  let capViolations = 0;
  let highest = 0;
  let badFences = 0;
  for (const [, [, line = ""]] of entries) {
    const [kind, pid = "", tenant = "", id = "", fence = ""] = line.split(" ");
    const key = `${id}#${fence}`;
    if (kind === "K") {
      for (const [run, { pid: owner }] of running) if (owner === pid) running.delete(run);
    } else if (kind === "S") {
      running.set(key, { pid, tenant });
      const now = [...running.values()].filter((run) => run.tenant === tenant).length;
      highest = Math.max(highest, now);
      if (now > CAP) capViolations++;
    } else {
      running.delete(key);
      if (kind !== "E") continue;
      const before = ends.get(id) ?? [];
      if (before.some((earlier) => earlier >= Number(fence))) badFences++;
      ends.set(id, [...before, Number(fence)]);
    }
  }
  return {
    lost: ids.filter((id) => !ends.has(id) && !removed.has(id)),
    capViolations,
    highest,
    badFences,
    completedTwice: [...ends.values()].filter((fences) => fences.length > 1).length,
  };
}
