import {
  type CloserStack,
  defaultLogger,
  type Health,
  type Logger,
  LogThrottle,
} from "@millrace/core";
import { Cluster, Redis, type RedisOptions } from "ioredis";
import { queueError } from "./errors.ts";

/** An ioredis client of one server or of a cluster. */
export type RedisClient = Redis | Cluster;

/** A client of the caller, who closes it, or options for one that the component opens and closes. */
export type RedisConnectionInput = RedisClient | RedisOptions;

export interface OpeningParts {
  /** Gets what closes a client of our own. */
  closers: CloserStack;
  /** Ends the waiting for a Redis that is away. */
  signal: AbortSignal;
  logger?: Logger | undefined;
}

/**
 * Takes the caller's client as it is, or opens one, and waits for the first answer. What keeps a
 * client of our own from Redis is logged, at most every ten seconds.
 */
export async function openRedis(
  input: RedisConnectionInput,
  { closers, signal, logger = defaultLogger() }: OpeningParts,
): Promise<RedisClient> {
  const client = isClient(input) ? input : openOwn(input, logger);
  if (client !== input) closers.push(() => closeOwn(client));
  await firstAnswer(client, signal);
  return client;
}

function openOwn(input: RedisOptions, logger: Logger): Redis {
  const options = { maxRetriesPerRequest: null, ...input } as RedisOptions & {
    replyMapping?: never;
  };
  const client = new Redis(options);
  const { host, port, path } = client.options;
  const place = path ?? `${host}:${port}`;
  const throttle = new LogThrottle(logger);
  // Commands wait for as long as Redis is away and report nothing. Without a listener the first
  // error would end the process.
  client.on("error", (error: NodeJS.ErrnoException) => {
    // Where a name has several addresses the error of all of them has a code and no message.
    const problem = error.message || error.code;
    throttle.warn(
      "redis",
      () => ({}),
      `no Redis at ${place} (${problem}), trying again: start it, or check the option connection`,
    );
  });
  return client;
}

async function closeOwn(client: RedisClient): Promise<void> {
  // Without a connection QUIT would wait for one.
  if (client.status !== "ready") client.disconnect();
  else await client.quit().catch(() => client.disconnect());
}

async function firstAnswer(client: RedisClient, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<never>();
  const stop = (): void => reject(signal.reason);
  signal.addEventListener("abort", stop);
  try {
    await Promise.race([client.ping(), promise]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/**
 * Waits for work that ends with the help of Redis, but not for a Redis that is away. What is left undone
 * goes on if Redis comes back, and its failure is nobody's.
 */
export async function unlessAway(client: RedisClient, work: Promise<unknown>): Promise<void> {
  const { promise: away, resolve } = Promise.withResolvers<void>();
  client.once("close", resolve);
  if (client.status !== "ready") resolve();
  try {
    await Promise.race([work, away]);
  } finally {
    client.off("close", resolve);
  }
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

/** Healthy while it is connected; `what` it is for a person. */
export function redisHealth(client: { status: string } | undefined, what = "Redis"): Health {
  const status = client?.status ?? "not connected";
  return status === "ready"
    ? { healthy: true }
    : { healthy: false, reason: `${what} is ${status}` };
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
