import type { QueuePartition } from "../partitions/queue-partition.ts";
import type { Queue } from "../queue.ts";

/** The least of a queue that the check reads. */
type CheckedQueue = Pick<Queue, "client"> & {
  partitions: ReadonlyArray<Pick<QueuePartition, "keys" | "bullmq">>;
};
type CheckedPartition = Pick<Queue, "client"> & Pick<QueuePartition, "keys" | "bullmq">;

/**
 * Compares the gate's books with BullMQ's on a quiescent queue: nobody adds, runs or settles. For tests
 * and for support: it reads everything. @returns one line for each broken invariant.
 */
export async function findViolations({ partitions, client }: CheckedQueue): Promise<string[]> {
  const found = await Promise.all(
    partitions.map(({ keys, bullmq }) => partitionViolations({ keys, bullmq, client })),
  );
  return found.flat();
}

async function partitionViolations({ keys, client, bullmq }: CheckedPartition): Promise<string[]> {
  const { gate } = keys;
  const violations: string[] = [];
  const names = await keysUnder(client, gate);
  const suffixes = (kind: string) =>
    names
      .filter((name) => name.startsWith(`${gate}${kind}:`))
      .map((name) => name.slice(gate.length + 2));
  const places = new Map<string, string[]>();
  const note = (id: string, place: string) => places.set(id, [...(places.get(id) ?? []), place]);

  const deferred = await client.zrange(`${gate}defer`, "0", "-1");
  for (const entry of deferred) note(entry.slice(entry.indexOf("|") + 1), "defer");
  const tenants = new Set([...suffixes("s"), ...suffixes("l")]);
  const indexed = new Set(await client.smembers(`${gate}lt`));
  for (const tenant of tenants) {
    const staged = await client.zrange(`${gate}s:${tenant}`, "0", "-1");
    const held = await client.smembers(`${gate}l:${tenant}`);
    for (const id of staged) note(id, `staged of ${tenant}`);
    for (const id of held) note(id, `ledger of ${tenant}`);
    const cap = Number((await client.hget(`${gate}t:${tenant}`, "cap")) ?? 1);
    if (held.length > cap) violations.push(`I1: ${tenant} holds ${held.length} slots of ${cap}`);
    if (!indexed.has(tenant))
      violations.push(`I3: ${tenant} is not in the index of active tenants`);
    violations.push(
      ...(await ringViolations(client, gate, tenant, staged.length, held.length, cap)),
    );
  }

  const far = Date.now() + 4 * 365 * 24 * 3_600_000;
  const delayed = await client.zrange(`${keys.bullmq}delayed`, "0", "-1", "WITHSCORES");
  const waiting = new Set<string>();
  for (let index = 0; index < delayed.length; index += 2) {
    const id = delayed[index] ?? "";
    waiting.add(id);
    const isFar = Number(delayed[index + 1]) / 4096 > far;
    const known = places.get(id) ?? [];
    if (isFar && known.length === 0)
      violations.push(`I3: ${id} is far-delayed and unknown to the gate`);
    const isAwaiting = (await client.hexists(`${keys.bullmq}${id}`, "aw")) === 1;
    if (!isFar && !isAwaiting && known.length > 0) {
      violations.push(`I3: ${id} backs off and is in ${known.join(", ")}`);
    }
  }
  for (const [id, known] of places) {
    if (known.length > 1) violations.push(`I3: ${id} is in ${known.join(" and ")}`);
    const isLedger = known[0]?.startsWith("ledger") === true;
    const state = await bullmq.getJobState(id);
    if (!isLedger && !waiting.has(id))
      violations.push(`I3: ${id} is in ${known.join()} but ${state}`);
    if (isLedger && ["completed", "failed", "unknown", "waiting-children"].includes(state)) {
      violations.push(`I4: ${id} is ${state} and holds a slot`);
    }
  }
  return violations;
}

async function ringViolations(
  client: CheckedQueue["client"],
  gate: string,
  tenant: string,
  staged: number,
  held: number,
  cap: number,
): Promise<string[]> {
  const [ring, paused, enabled] = await client.hmget(
    `${gate}t:${tenant}`,
    "ring",
    "paused",
    "enabled",
  );
  const isBlocked = (await client.zscore(`${gate}blocked`, tenant)) !== null;
  const isEligible = staged > 0 && held < cap && paused !== "1" && enabled !== "0" && !isBlocked;
  const rings: string[] = [];
  for (const name of ["1", "5", "10"]) {
    if ((await client.zscore(`${gate}ready:${name}`, tenant)) !== null) rings.push(name);
  }
  const violations: string[] = [];
  if (rings.length > 1) violations.push(`I5: ${tenant} is in rings ${rings.join(" and ")}`);
  if (isEligible !== rings.length > 0) {
    violations.push(
      `I5: ${tenant} is ${isEligible ? "" : "not "}eligible, its ring is ${rings.join() || "none"}`,
    );
  }
  if ((ring ?? undefined) !== rings[0]) {
    violations.push(`I5: ${tenant} notes ring ${ring ?? "none"} but is in ${rings[0] ?? "none"}`);
  }
  return violations;
}

async function keysUnder(client: CheckedQueue["client"], prefix: string): Promise<string[]> {
  const nodes = "nodes" in client ? client.nodes("master") : [client];
  const found: string[] = [];
  for (const node of nodes) {
    let cursor = "0";
    do {
      const [next, keys] = await node.scan(cursor, "MATCH", `${prefix}*`, "COUNT", 1_000);
      found.push(...keys);
      cursor = next;
    } while (cursor !== "0");
  }
  return found;
}
