import { spawnSync } from "node:child_process";
import { findProgram } from "../find-program.ts";
import { freePort } from "../free-port.ts";
import { ServiceError } from "../service-error.ts";
import { readReplication, waitUntilServing } from "./cluster-health.ts";
import { startRedis, type RedisService } from "./start-redis.ts";

/** The shape of the cluster that {@link startRedisCluster} builds. */
export interface RedisClusterOptions {
  /** At least 3. @default 3 */
  readonly primaries?: number | undefined;
  /** Replicas in total, spread over the primaries; a multiple of `primaries`. @default 3 */
  readonly replicas?: number | undefined;
  /** Settings of every node. They win over the defaults, of which `cluster-node-timeout` is 2,000 ms. */
  readonly settings?: Readonly<Record<string, string>> | undefined;
}

/** One server of a cluster. */
export interface RedisClusterNode {
  /** Always `127.0.0.1`. */
  readonly host: string;
  readonly port: number;
  /** Another one after each start. */
  readonly pid: number;
  readonly isRunning: boolean;
}

/** A Redis Cluster whose nodes belong to this process and end with it. */
export interface RedisCluster {
  /** The primaries as created, then the replicas; a failover changes the roles but not the order. */
  readonly nodes: readonly RedisClusterNode[];
  /** SIGKILL to one node. @throws RangeError when there is no such node. */
  killNode(index: number): Promise<void>;
  /** Starts a killed node again on its files. It rejoins by itself; to wait for that, see {@link RedisCluster.healthy}. */
  startNode(index: number): Promise<void>;
  /**
   * Waits until the running nodes agree that they serve all slots, and until each replica has acknowledged what its
   * primary had written when the wait began: from then on a failover loses none of that.
   *
   * After a primary was killed that means its replica has taken over; after a restart, that the node is back.
   */
  healthy(): Promise<void>;
  /** Ends all nodes and removes their files. */
  stop(): Promise<void>;
  /** The same as {@link RedisCluster.stop}. */
  [Symbol.asyncDispose](): Promise<void>;
}

// Redis reaches the cluster bus of a node at its port plus this.
const BUS_OFFSET = 10_000;

/**
 * Starts a Redis Cluster on loopback that ends with this process, and waits until it serves all slots.
 *
 * @throws {@link ServiceError} as {@link startRedis}, and `SERVICES_START_FAILED` when the nodes do not form a cluster.
 */
export async function startRedisCluster({
  primaries = 3,
  replicas = 3,
  settings = {},
}: RedisClusterOptions = {}): Promise<RedisCluster> {
  // Once before the nodes, for six servers at a time need not each find Redis missing.
  const redisCli = await findProgram({
    title: "redis-cli",
    names: ["redis-cli"],
    aptPackage: "redis-server",
    brewFormula: "redis",
  });
  const starts = await Promise.allSettled(
    Array.from({ length: primaries + replicas }, () => startNode(settings)),
  );
  const nodes = starts.flatMap((start) => (start.status === "fulfilled" ? [start.value] : []));
  try {
    for (const start of starts) if (start.status === "rejected") throw start.reason;
    createCluster(redisCli, nodes, replicas / primaries);
    return new NodesCluster(await waitUntilFormed(nodes, replicas));
  } catch (error) {
    await removeAll(nodes);
    throw error;
  }
}

async function startNode(settings: Readonly<Record<string, string>>): Promise<RedisService> {
  return startRedis({
    port: await freePort([BUS_OFFSET]),
    settings: {
      "cluster-enabled": "yes",
      "cluster-node-timeout": "2000",
      "repl-diskless-sync-delay": "0",
      // Without writes this ping is all that a new replica acknowledges.
      "repl-ping-replica-period": "1",
      ...settings,
    },
  });
}

function createCluster(
  redisCli: string,
  nodes: readonly RedisService[],
  replicasPerPrimary: number,
): void {
  const { status, stdout, stderr } = spawnSync(
    redisCli,
    [
      "--cluster",
      "create",
      ...nodes.map(({ host, port }) => `${host}:${port}`),
      "--cluster-replicas",
      String(replicasPerPrimary),
      "--cluster-yes",
    ],
    { encoding: "utf8" },
  );
  if (status === 0) return;
  throw new ServiceError(
    "SERVICES_START_FAILED",
    `redis-cli could not form a cluster of ${nodes.length} nodes: ${stderr}${stdout.slice(-2_000)}`,
  );
}

/** Waits for the cluster and returns its nodes with the primaries first. */
async function waitUntilFormed(
  nodes: readonly RedisService[],
  replicas: number,
): Promise<readonly RedisService[]> {
  const ports = nodes.map(({ port }) => port);
  await waitUntilServing(ports, { replicas });
  const roles = await Promise.all(ports.map(readReplication));
  return [
    ...nodes.filter((_, index) => roles[index]?.isPrimary === true),
    ...nodes.filter((_, index) => roles[index]?.isPrimary !== true),
  ];
}

async function removeAll(nodes: readonly RedisService[]): Promise<void> {
  await Promise.all(nodes.map((node) => node.remove()));
}

class NodesCluster implements RedisCluster {
  readonly #nodes: readonly RedisService[];

  constructor(nodes: readonly RedisService[]) {
    this.#nodes = nodes;
  }

  get nodes(): readonly RedisClusterNode[] {
    return this.#nodes;
  }

  async killNode(index: number): Promise<void> {
    await this.#at(index).kill();
  }

  async startNode(index: number): Promise<void> {
    await this.#at(index).start();
  }

  async healthy(): Promise<void> {
    await waitUntilServing(this.#nodes.filter((node) => node.isRunning).map(({ port }) => port));
  }

  async stop(): Promise<void> {
    await removeAll(this.#nodes);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #at(index: number): RedisService {
    const node = this.#nodes[index];
    if (node === undefined) {
      throw new RangeError(`There is no node ${index}; there are ${this.#nodes.length}, from 0.`);
    }
    return node;
  }
}
