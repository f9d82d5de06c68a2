import { type CloserStack, messageOf } from "@millrace/core";
import { findViolations } from "@millrace/queue";
import { Pool } from "pg";
import { PLANS, ROLES } from "./plans.ts";
import type { Platform } from "./platform.ts";

const TENANTS = { tiny: "free", growing: "pro", big: "agency" } as const;
const CAMPAIGNS = 3;
const DEADLINE_MS = 60_000;

interface Done {
  campaignId: string;
  completed: string[];
  skipped: string[];
}

/** Three tenants run three campaigns each; everything that was promised is checked. @returns complaints. */
export async function runScriptedCampaign(parts: {
  platform: Platform;
  apis: readonly string[];
  closers: CloserStack;
  /** Where the rows are. */
  database: string;
  /** Whether every record has left the buffer. */
  hasLanded: () => boolean;
  /** The most worker processes that were wanted. */
  highestScale: () => number;
}): Promise<string[]> {
  const { platform, apis, closers, hasLanded, highestScale } = parts;
  const pool = new Pool({ connectionString: parts.database });
  closers.push(() => pool.end());
  const complaints: string[] = [];
  const expect = (isTrue: boolean, what: string) => {
    console.log(`${isTrue ? "ok  " : "FAIL"} ${what}`);
    if (!isTrue) complaints.push(what);
  };
  for (const [tenantId, plan] of Object.entries(TENANTS))
    await platform.tenants.set(tenantId, { plan });

  const agents = ROLES.filter((role) => role !== "activity-planner");
  await Promise.all(
    Object.entries(TENANTS).map(async ([tenantId, plan], index) => {
      // Events are read from the other process than the one that takes the campaigns.
      const [one = "", other = one] = index % 2 ? apis.toReversed() : apis;
      const listener = await listen(`${other}/tenants/${tenantId}/events`, closers);
      const ids = new Set<string>();
      for (let number = 0; number < CAMPAIGNS; number++) {
        const response = await fetch(`${one}/campaigns`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ tenantId, brief: `Campaign ${number}`, roles: agents }),
        });
        ids.add(((await response.json()) as { campaignId: string }).campaignId);
      }
      const done = await listener.campaigns(CAMPAIGNS);
      const offered = Object.keys(PLANS[plan]?.roles ?? {}).filter(
        (role) => role !== "activity-planner",
      );
      const isRight = done.every(
        ({ campaignId, completed, skipped }) =>
          ids.has(campaignId) &&
          completed.toSorted().join() === offered.toSorted().join() &&
          completed.length + skipped.length === agents.length,
      );
      expect(
        isRight,
        `${tenantId} (${plan}): ${done.length} campaigns by exactly the agents of its plan`,
      );
      expect(listener.texts() > 0, `${tenantId}: text streamed through the other API process`);
    }),
  );

  // Campaigns end with their planner, whose own run is stored after that.
  const tasks = CAMPAIGNS * Object.values(TENANTS).reduce((sum, plan) => sum + rolesOf(plan), 0);
  const count = async (table: string) =>
    Number((await pool.query<{ n: string }>(`SELECT count(*) AS n FROM ${table}`)).rows[0]?.n);
  await waitUntil(async () => hasLanded() && (await count("task_runs")) >= tasks);
  const runs = await count("task_runs");
  expect(runs >= tasks, `${runs} runs of ${tasks} tasks have landed`);
  const calls = await count("llm_calls");
  expect(calls > 0, `${calls} model calls have landed`);
  for (const table of ["streamed_outputs", "raw_outputs"]) {
    expect((await count(table)) === calls, `as many ${table}`);
  }
  const { rows: placed } = await pool.query<{ place: string }>(
    "SELECT DISTINCT tableoid::regclass::text AS place FROM llm_calls",
  );
  const month = new Date().toISOString().slice(0, 7).replace("-", "");
  expect(
    placed.some(({ place }) => place === `llm_calls_p${month}`),
    `in the partition of the month: ${placed.map(({ place }) => place).join()}`,
  );
  expect(highestScale() > 1, `up to ${highestScale()} worker processes were wanted`);
  for (const [tenantId, plan] of Object.entries(TENANTS)) {
    for (const [role, { maxConcurrent = 1 }] of Object.entries(PLANS[plan]?.roles ?? {})) {
      if (role === "activity-planner" || role === "data-analyst") continue;
      const { rows } = await pool.query<{ highest: string | null }>(
        `SELECT max(together) AS highest FROM (
           SELECT count(*) AS together FROM task_runs a JOIN task_runs b
             ON a.tenant_id = b.tenant_id AND a.role = b.role
            AND b.started_at <= a.started_at AND b.ended_at > a.started_at
          WHERE a.tenant_id = $1 AND a.role = $2 GROUP BY a.task_id, a.fence) AS moments`,
        [tenantId, role],
      );
      const highest = Number(rows[0]?.highest ?? 0);
      if (highest > maxConcurrent || highest === 0) {
        expect(
          false,
          `${tenantId} ran ${highest} ${role} tasks at once, ${maxConcurrent} are allowed`,
        );
      }
    }
  }
  const board = await fetch(`${apis[0]}/admin/queues/api/queues`);
  expect(board.status === 200, "bull-board answers");
  for (const queue of platform.queues.values()) {
    const violations = await waitForNone(() => findViolations(queue));
    if (violations.length > 0) expect(false, `${queue.role}: ${violations.join("; ")}`);
  }
  expect(complaints.length === 0, "caps kept, books balanced");
  return complaints;
}

function rolesOf(plan: string): number {
  return Object.keys(PLANS[plan]?.roles ?? {}).length;
}

async function waitUntil(isSo: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!(await isSo()) && Date.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function waitForNone(read: () => Promise<string[]>): Promise<string[]> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const violations = await read();
    if (violations.length === 0 || Date.now() > deadline) return violations;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const nothing = () => {};

/** Reads server-sent events until enough campaigns are done. */
async function listen(url: string, closers: CloserStack) {
  const abort = new AbortController();
  closers.push(() => abort.abort());
  const response = await fetch(url, { signal: abort.signal });
  const done: Done[] = [];
  let texts = 0;
  let wake = nothing;
  void (async () => {
    let rest = "";
    const decoder = new TextDecoder();
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      const events = (rest + decoder.decode(chunk, { stream: true })).split("\n\n");
      rest = events.pop() ?? "";
      for (const event of events) {
        const type = /^event: (.*)$/m.exec(event)?.[1];
        const data = /^data: (.*)$/m.exec(event)?.[1];
        if (type === "text") texts++;
        if (type === "campaign:done" && data) done.push(JSON.parse(data) as Done);
      }
      wake();
    }
  })().catch((error: unknown) => {
    if (!abort.signal.aborted) console.error(`event stream broke: ${messageOf(error)}`);
  });
  return {
    texts: () => texts,
    async campaigns(count: number): Promise<Done[]> {
      const late = setTimeout(() => abort.abort(), DEADLINE_MS);
      while (done.length < count) {
        if (abort.signal.aborted)
          throw new Error(`${url}: ${done.length} of ${count} campaigns in time`);
        await new Promise<void>((resolve) => {
          wake = resolve;
          abort.signal.addEventListener("abort", () => resolve(), { once: true });
        });
      }
      clearTimeout(late);
      return done;
    },
  };
}
