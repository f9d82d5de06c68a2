import type { Worker } from "bullmq";
import type { Cluster, Redis } from "ioredis";

/**
 * Closes BullMQ's worker when what it runs has ended.
 *
 * Its own close waits until the connection that it blocks on has ended, and for ever where that has just
 * broken: between two tries ioredis has no connection, and tells of no end. While it is connecting it does.
 */
export async function closeWorker(worker: Worker): Promise<void> {
  const { blockingClient } = worker.getBackend();
  const client = (await blockingClient) as unknown as Redis | Cluster | undefined;
  if (client?.status === "reconnecting") client.connect().catch(() => {});
  await worker.close();
}
