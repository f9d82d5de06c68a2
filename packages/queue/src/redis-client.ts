import { Cluster, Redis, type RedisOptions } from "ioredis";
import { queueError } from "./errors.ts";

/** An ioredis client of one server or of a cluster. */
export type RedisClient = Redis | Cluster;

/** A client of the caller, who closes it, or options for one that the component opens and closes. */
export type RedisConnectionInput = RedisClient | RedisOptions;

/** A client and whether it is ours to close. */
export interface OpenedRedis {
  client: RedisClient;
  close(): Promise<void>;
}

/** Takes the caller's client as it is, or opens one. */
export function openRedis(input: RedisConnectionInput): OpenedRedis {
  if (isClient(input)) return { client: input, close: () => Promise.resolve() };
  const options = { maxRetriesPerRequest: null, ...input } as RedisOptions & {
    replyMapping?: never;
  };
  const client = new Redis(options);
  // ioredis reports here what each command reports too; without a listener it would end the process.
  client.on("error", () => {});
  return {
    client,
    async close() {
      await client.quit().catch(() => client.disconnect());
    },
  };
}

/** Names of a server's keys that match a pattern. */
export async function scanKeys(node: Redis, pattern: string): Promise<string[]> {
  const found: string[] = [];
  let cursor = "0";
  do {
    const [next, keys] = await node.scan(cursor, "MATCH", pattern, "COUNT", 1_000);
    found.push(...keys);
    cursor = next;
  } while (cursor !== "0");
  return found;
}

/** A second connection to the same place, for commands that block or subscribe. */
export function duplicateClient(client: RedisClient): RedisClient {
  return client instanceof Cluster ? client.duplicate() : client.duplicate();
}

function isClient(input: RedisConnectionInput): input is RedisClient {
  return "defineCommand" in input && typeof input.defineCommand === "function";
}

/**
 * Refuses a Redis that would lose jobs.
 *
 * @throws {@link MillraceError} `QUEUE_REDIS_TOO_OLD` below 6.2, `QUEUE_REDIS_EVICTS` when
 * `maxmemory-policy` is not `noeviction`.
 */
export async function assertRedisFits(
  client: RedisClient,
  { allowEviction }: { allowEviction: boolean },
): Promise<void> {
  const servers = client instanceof Cluster ? client.nodes("master") : [client];
  for (const server of servers) {
    const info = await server.info();
    const version = /^redis_version:(\d+)\.(\d+)/m.exec(info);
    const [major, minor] = [Number(version?.[1]), Number(version?.[2])];
    if (!(major > 6 || (major === 6 && minor >= 2))) {
      throw queueError(
        "QUEUE_REDIS_TOO_OLD",
        `Redis is ${version?.[0].slice("redis_version:".length) ?? "of an unknown version"}: run 6.2 or newer`,
      );
    }
    const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1];
    if (policy !== undefined && policy !== "noeviction" && !allowEviction) {
      throw queueError(
        "QUEUE_REDIS_EVICTS",
        `Redis may evict jobs (maxmemory-policy is ${policy}): set it to noeviction, or pass allowEviction: true`,
        { details: { policy } },
      );
    }
  }
}
