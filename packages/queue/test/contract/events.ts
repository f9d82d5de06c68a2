import { silentLogger } from "@millrace/core";
import { Registry } from "prom-client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { EventHub } from "../../src/events/event-hub.ts";
import type { Backend, OpenBackend } from "./backend.ts";
import { code } from "./backend.ts";
import { listen } from "../support/listen.ts";

export function eventsContract(open: OpenBackend): void {
  describe("events", () => {
    let backend: Backend;
    let one: EventHub;
    let other: EventHub;
    beforeEach(async () => {
      backend = await open();
      const make = () =>
        backend.createEventHub({
          logger: silentLogger,
          metrics: new Registry(),
          heartbeatMs: 100,
          maxClientBytes: 5_000,
        });
      [one, other] = [make(), make()];
      await one.start();
      await other.start();
    });
    afterEach(async () => {
      await one.close();
      await other.close();
      await backend.close();
    });

    it("reach a tenant's clients in order, from any process and nobody else's", async () => {
      const mine = listen(await other.sse("acme"));
      const second = listen(await one.sse("acme"));
      const theirs = listen(await other.sse("rival"));
      for (let n = 0; n < 20; n++) await one.publish("acme", { type: "task:done", data: { n } });
      await backend.until(() => mine.data().length === 20 && second.data().length === 20);
      expect(mine.data()).toEqual(Array.from({ length: 20 }, (_, n) => ({ n })));
      expect(mine.state.text).toContain("event: task:done\n");
      expect(theirs.data()).toEqual([]);
      expect(one.status()).toMatchObject({ clients: 1, published: 20 });
      await mine.stop();
      await backend.until(() => other.status().clients === 1);
      await one.publish("acme", { type: "x", data: "a\nb" });
      await backend.until(() => second.data().includes("a\nb"));
    });

    it("that a client missed come first when it returns, each once", async () => {
      const ids: string[] = [];
      for (let n = 0; n < 30; n++) ids.push(await one.publish("acme", { type: "x", data: n }));
      const publishing = (async () => {
        for (let n = 30; n < 60; n++) await one.publish("acme", { type: "x", data: n });
      })();
      const back = listen(await other.sse("acme", ids[9]));
      await publishing;
      await backend.until(() => back.data().length >= 50);
      expect(back.data()).toEqual(Array.from({ length: 50 }, (_, n) => n + 10));
      expect(new Set(back.ids()).size).toBe(50);
    });

    it("drop a client that does not read, which loses nothing when it returns", async () => {
      const response = await other.sse("acme");
      const healthy = listen(await other.sse("acme"));
      const first = await one.publish("acme", { type: "x", data: "first" });
      // Whoever is still catching up is waited for, not dropped.
      await backend.until(() => healthy.data().length === 1);
      const payload = "y".repeat(1_000);
      for (let n = 0; n < 10; n++) await one.publish("acme", { type: "x", data: payload });
      await backend.until(() => other.status().dropped === 1);
      await backend.until(() => healthy.data().length === 11);
      const slow = listen(response);
      await backend.until(() => slow.state.isOver);
      expect(String(slow.state.error)).toMatch(/too slowly/);
      const back = listen(await one.sse("acme", first));
      await backend.until(() => back.data().length === 10);
      await one.publish("acme", { type: "x", data: "live" });
      await backend.until(() => back.data().includes("live"));
    });

    it("keep idle connections alive, survive hostile ids and end when the hub closes", async () => {
      const idle = listen(await one.sse("acme", "'; FLUSHALL"));
      await backend.until(() => idle.state.text.includes(": \n\n"));
      await expect(one.publish("acme", { type: "a\nb", data: 1 })).rejects.toThrow(TypeError);
      await expect(one.sse("a b")).rejects.toEqual(code("CONFIG_INVALID"));
      await one.close();
      await backend.until(() => idle.state.isOver);
      expect(idle.state.error).toBeUndefined();
      await expect(one.publish("acme", { type: "x", data: 1 })).rejects.toEqual(
        code("QUEUE_CLOSED"),
      );
    });
  });
}
