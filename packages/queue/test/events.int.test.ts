import { silentLogger } from "@millrace/core";
import { waitFor } from "@millrace/core/testing";
import { Registry } from "prom-client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createEventHub, type EventHub } from "../src/events/event-hub.ts";
import { listen } from "./support/listen.ts";
import { connect, uniquePrefix } from "./support/redis.ts";

describe("the event hub", () => {
  const client = connect();
  let one: EventHub;
  let other: EventHub;

  beforeEach(async () => {
    const options = {
      connection: client,
      prefix: uniquePrefix(),
      logger: silentLogger,
      maxClientBytes: 4_096,
    };
    one = createEventHub({ ...options, metrics: new Registry(), heartbeatMs: 50 });
    other = createEventHub({ ...options, metrics: new Registry() });
    await Promise.all([one.start(), other.start()]);
  });
  afterEach(async () => {
    await Promise.all([one.close(), other.close()]);
  });

  it("serves a tenant's events in any process, in order, and no other tenant's", async () => {
    const mine = listen(await other.sse("acme"));
    const second = listen(await one.sse("acme"));
    for (let n = 0; n < 20; n++) await one.publish("acme", { type: "task:done", data: { n } });
    await one.publish("rival", { type: "task:done", data: { n: 99 } });
    await waitFor(() => mine.data().length === 20 && second.data().length === 20);
    expect(mine.data()).toEqual(Array.from({ length: 20 }, (_, n) => ({ n })));
    expect(mine.state.text).toContain("event: task:done\n");
    expect(one.status()).toMatchObject({ clients: 1, published: 21 });
    await mine.stop();
    await waitFor(() => other.status().clients === 0);
    const again = listen(await other.sse("acme"));
    await one.publish("acme", { type: "x", data: "again" });
    await waitFor(() => again.data().includes("again"));
  });

  it("sends a client that comes back what it missed, each event once, while others are published", async () => {
    const ids: string[] = [];
    for (let n = 0; n < 50; n++) ids.push(await one.publish("acme", { type: "x", data: n }));
    const publishing = (async () => {
      for (let n = 50; n < 100; n++) await one.publish("acme", { type: "x", data: n });
    })();
    const back = listen(await other.sse("acme", ids[9]));
    await publishing;
    await waitFor(() => back.data().length >= 90);
    expect(back.data()).toEqual(Array.from({ length: 90 }, (_, n) => n + 10));
    expect(new Set(back.ids()).size).toBe(90);
  });

  it("drops a client that does not read at the byte limit, and it loses nothing when it returns", async () => {
    const response = await other.sse("acme");
    const healthy = listen(await other.sse("acme"));
    const first = await one.publish("acme", { type: "x", data: "first" });
    const payload = "y".repeat(1_000);
    for (let n = 0; n < 10; n++) await one.publish("acme", { type: "x", data: payload });
    await waitFor(() => other.status().dropped === 1);
    await waitFor(() => healthy.data().length === 11);
    const slow = listen(response);
    await waitFor(() => slow.state.isOver);
    expect(String(slow.state.error)).toMatch(/too slowly/);
    const back = listen(await one.sse("acme", first));
    await waitFor(() => back.data().length === 10);
    await one.publish("acme", { type: "x", data: "live" });
    await waitFor(() => back.data().includes("live"));
  });

  it("keeps idle connections alive, survives hostile Last-Event-IDs and ends streams when it closes", async () => {
    const idle = listen(await one.sse("acme", "'; FLUSHALL"));
    await waitFor(() => idle.state.text.includes(": \n\n"));
    await expect(one.publish("acme", { type: "a\nb", data: 1 })).rejects.toThrow(TypeError);
    await expect(one.sse("a b")).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    await one.close();
    await waitFor(() => idle.state.isOver);
    expect(idle.state.error).toBeUndefined();
    await expect(one.publish("acme", { type: "x", data: 1 })).rejects.toMatchObject({
      code: "QUEUE_CLOSED",
    });
  });

  it("sends text with line breaks as one event", async () => {
    const reader = listen(await one.sse("acme"));
    await one.publish("acme", { type: "x", data: "a\nb" });
    await waitFor(() => reader.data().length === 1);
    expect(reader.data()).toEqual(["a\nb"]);
  });
});
