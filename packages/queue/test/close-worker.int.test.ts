import { waitFor } from "@millrace/core/testing";
import { Worker } from "bullmq";
import { Redis } from "ioredis";
import { expect, it } from "vitest";
import { closeWorker } from "../src/close-worker.ts";
import { redisService, uniquePrefix } from "./support/redis.ts";

it("a worker closes while the connection that it blocks on is broken and not yet tried again", async () => {
  const connection = new Redis(redisService.url, {
    maxRetriesPerRequest: null,
    retryStrategy: () => 60_000,
  });
  const worker = new Worker("q", async () => {}, { connection, prefix: uniquePrefix() });
  worker.on("error", () => {});
  await worker.waitUntilReady();
  const blocking = (await worker.getBackend().blockingClient) as unknown as Redis;
  // It is at its blocking command.
  await waitFor(() => blocking.status === "ready" && worker.isRunning());
  blocking.stream.destroy();
  await waitFor(() => blocking.status === "reconnecting");
  await closeWorker(worker);
  expect(blocking.status).toBe("end");
  await connection.quit();
});
