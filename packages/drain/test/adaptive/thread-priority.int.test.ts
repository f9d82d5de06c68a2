import { readdirSync, readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { emptyDatabase } from "../fixtures/empty-database.ts";
import { runPool } from "../fixtures/running-pool.ts";

/** The nice value of each thread of this process, by thread id. */
function niceValues(): Map<string, number> {
  const values = readdirSync("/proc/self/task").map((thread): [string, number] => {
    const stat = readFileSync(`/proc/self/task/${thread}/stat`, "utf8");
    // The name, in brackets, may hold anything; the 19th field is the 17th behind it.
    return [thread, Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[16])];
  });
  return new Map(values);
}

/** Nice values of threads that were not there before. */
function added(before: ReadonlyMap<string, number>): number[] {
  return [...niceValues()].filter(([thread]) => !before.has(thread)).map(([, nice]) => nice);
}

it("the workers of a polite pool, and no other thread, let others have the processors first", async () => {
  const { url } = await emptyDatabase();
  const own = niceValues().get(String(process.pid)) ?? Number.NaN;
  const lowered = Math.max(10, own);

  const beforePlain = niceValues();
  const plain = await runPool({ url }, { workers: 2 });
  expect(new Set(added(beforePlain))).toEqual(new Set([own]));
  await plain.pool.close();

  const beforePolite = niceValues();
  const polite = await runPool({ url }, { workers: 2, polite: true });
  // The buffer's maintenance thread keeps its own.
  expect(added(beforePolite).filter((nice) => nice === lowered)).toHaveLength(2);
  for (const [thread, nice] of niceValues()) {
    if (beforePolite.has(thread)) expect(nice).toBe(beforePolite.get(thread));
  }

  await polite.append([{ t: "request", timestamp: 1_767_225_600, duration: 5 }]);
  await polite.drained();
  expect(polite.pool.status()).toMatchObject({ payloads: 1, concurrency: { current: 1 } });
});
