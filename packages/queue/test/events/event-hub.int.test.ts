import { silentLogger } from "@millrace/core";
import { waitFor } from "@millrace/core/testing";
import { Registry } from "prom-client";
import { expect, onTestFinished, test } from "vitest";
import { createEventHub } from "../../src/events/event-hub.ts";
import { listen } from "../support/listen.ts";
import { connect, uniquePrefix } from "../support/redis.ts";

test("what is published while the subscriber's connection is broken reaches live clients, once and in order", async () => {
  const connection = connect();
  const hub = createEventHub({
    connection,
    prefix: uniquePrefix(),
    logger: silentLogger,
    metrics: new Registry(),
  });
  await hub.start();
  onTestFinished(async () => {
    await hub.close();
    await connection.quit();
  });
  await hub.publish("acme", { type: "x", data: "before anybody came" });
  const clients = [listen(await hub.sse("acme")), listen(await hub.sse("acme"))];
  const expected: number[] = [];
  for (let round = 0; round < 5; round++) {
    // On one connection, so in this order.
    const killed = connection.call("CLIENT", "KILL", "TYPE", "pubsub");
    for (let n = 0; n < 3; n++) {
      expected.push(round * 3 + n);
      void hub.publish("acme", { type: "x", data: round * 3 + n });
    }
    expect(await killed).toBe(1);
    await waitFor(() => clients.every((client) => client.data().length === expected.length));
    // Killing it again before it is back would kill nothing.
    await waitFor(async () => (await connection.pubsub("NUMSUB", ...(await channels())))[1] === 1);
  }
  for (const client of clients) expect(client.data()).toEqual(expected);
  expect(hub.status().dropped).toBe(0);

  async function channels(): Promise<string[]> {
    return (await connection.pubsub("CHANNELS", "*:events:*")) as string[];
  }
});
