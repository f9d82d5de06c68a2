import { findTestRedis, startRedis, startRedisCluster } from "@millrace/services";
import { expect, test } from "vitest";
import { redisReply } from "./fixtures/redis-reply.ts";

test("a Redis refuses writes instead of evicting keys, unless its settings say otherwise", async () => {
  await using redis = await startRedis();
  await using evicting = await startRedis({ settings: { "maxmemory-policy": "allkeys-lru" } });

  expect(redisReply(redis.port, "CONFIG", "GET", "maxmemory-policy")).toContain("noeviction");
  expect(redisReply(evicting.port, "CONFIG", "GET", "maxmemory-policy")).toContain("allkeys-lru");
});

test("a killed Redis with an append-only file keeps what it acknowledged", async () => {
  await using redis = await startRedis({ settings: { appendonly: "yes", appendfsync: "always" } });
  redisReply(redis.port, "SET", "kept", "yes");

  await redis.kill();
  expect(redis.isRunning).toBe(false);
  await redis.start();

  expect(redisReply(redis.port, "GET", "kept")).toBe('"yes"');
});

test("the test Redis is the one that the environment names, and removing it leaves that alone", async () => {
  await using named = await startRedis();
  process.env["MILLRACE_TEST_REDIS_URL"] = named.url;
  try {
    const found = await findTestRedis();
    await found.remove();

    expect(found.url).toBe(named.url);
    expect(redisReply(named.port, "PING")).toBe("PONG");
  } finally {
    delete process.env["MILLRACE_TEST_REDIS_URL"];
  }
});

test("a replica takes over from a killed primary of the cluster, which comes back as replica", async () => {
  await using cluster = await startRedisCluster();
  const [first, second] = cluster.nodes;
  if (first === undefined || second === undefined) throw new Error("the cluster has no nodes");
  const keys = Array.from({ length: 30 }, (_, index) => `key-${index}`);
  for (const key of keys) redisReply(second.port, "SET", key, key);
  await cluster.healthy();

  await cluster.killNode(0);
  await cluster.healthy();

  const found = keys.map((key) => redisReply(second.port, "GET", key));
  expect(found).toEqual(keys.map((key) => `"${key}"`));
  await cluster.startNode(0);
  await cluster.healthy();
  expect(redisReply(first.port, "ROLE")).toContain('"slave"');
});
