import { waitUntil } from "../wait-until.ts";
import { sendRedisCommand } from "./redis-command.ts";

/**
 * Waits until the servers on `ports` agree that they, and no others, serve all slots, and until every replica among them
 * has acknowledged what its primary had written when the wait began.
 *
 * "Link up" on the replica, or "online" on the primary, is not enough: after a diskless synchronisation the primary sends
 * nothing before the replica's first acknowledgement, and a write of that moment is lost with the primary.
 */
export async function waitUntilServing(
  ports: readonly number[],
  { replicas }: { readonly replicas?: number } = {},
): Promise<void> {
  const starts = await Promise.all(ports.map(readReplication));
  const targets = new Map(ports.map((port, index) => [port, starts[index]?.offset ?? 0]));
  await waitUntil(() => isServing(ports, targets, replicas).catch(() => false), {
    description: `the Redis Cluster on ports ${ports.join(", ")} serves all slots`,
    intervalMs: 50,
  });
}

/** The part that a server has in replication. */
export interface Replication {
  readonly isPrimary: boolean;
  /** Bytes in its replication stream. */
  readonly offset: number;
  /** For each replica that is connected and online, the bytes that it has acknowledged. */
  readonly acknowledged: readonly number[];
}

/** Reads `INFO replication`: https://redis.io/docs/latest/commands/info/ */
export async function readReplication(port: number): Promise<Replication> {
  const info = await sendRedisCommand(port, "INFO", "replication");
  const online = info.matchAll(/^slave\d+:.*state=online,offset=(\d+)/gm);
  return {
    isPrimary: /^role:master/m.test(info),
    offset: Number(/^master_repl_offset:(\d+)/m.exec(info)?.[1] ?? 0),
    acknowledged: [...online].map(([, offset]) => Number(offset)),
  };
}

async function isServing(
  ports: readonly number[],
  targets: ReadonlyMap<number, number>,
  expectedReplicas: number | undefined,
): Promise<boolean> {
  const servers = await Promise.all(
    ports.map(async (port) => ({
      port,
      replication: await readReplication(port),
      info: await sendRedisCommand(port, "CLUSTER", "INFO"),
      table: await sendRedisCommand(port, "CLUSTER", "NODES"),
    })),
  );
  const replicas = servers.filter(({ replication }) => !replication.isPrimary).length;
  if (expectedReplicas !== undefined && replicas !== expectedReplicas) return false;
  const inStep = servers.flatMap(({ port, replication }) =>
    // An acknowledgement of nothing may also be the one that has yet to come.
    replication.acknowledged.filter((offset) => offset >= Math.max(1, targets.get(port) ?? 0)),
  );
  return (
    inStep.length === replicas &&
    servers.every(
      ({ info, table }) =>
        info.includes("cluster_state:ok") &&
        table
          .trim()
          .split("\n")
          .every((line) => isSettled(line, ports)),
    )
  );
}

// <id> <ip:port@bus> <flags> <primary> <ping> <pong> <epoch> <link> <slot> ...: https://redis.io/docs/latest/commands/cluster-nodes/
function isSettled(line: string, ports: readonly number[]): boolean {
  const [, address = "", flags = "", , , , , , ...slots] = line.split(" ");
  const port = Number(/:(\d+)@/.exec(address)?.[1]);
  if (!ports.includes(port)) return slots.length === 0 || flags.includes("slave");
  return !/handshake|fail/.test(flags);
}
