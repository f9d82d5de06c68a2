import { type RedisCluster, startRedisCluster } from "@millrace/services";
import { Cluster } from "ioredis";
import { afterAll, beforeAll } from "vitest";

/** A Redis Cluster of three primaries and three replicas for the tests of the enclosing `describe`. */
export function useCluster() {
  let cluster: RedisCluster;
  beforeAll(async () => {
    cluster = await startRedisCluster();
  }, 60_000);
  afterAll(() => cluster.stop());
  return {
    get servers(): RedisCluster {
      return cluster;
    },
    /** A connection to it; closed by the caller. */
    connect(): Cluster {
      const client = new Cluster(
        cluster.nodes.map(({ host, port }) => ({ host, port })),
        { redisOptions: { maxRetriesPerRequest: null }, clusterRetryStrategy: () => 200 },
      );
      client.on("error", () => {});
      return client;
    },
  };
}
