import type { LookupAddress } from "node:dns";
import { getDefaultAutoSelectFamily, setDefaultAutoSelectFamily } from "node:net";
import { refuseWebhook } from "@millrace/core";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createWebhookAdapter } from "../../src/webhook/webhook-adapter.ts";
import { json, playServer } from "../support/play-server.ts";

const SECRET = "a secret that both sides know";
const registration = { url: "http://x/cb", idempotencyKey: "task:1.1", deadlineAt: 1, fence: 1 };

const build = (options: { allowedHosts?: string[]; answers?: string[][] } = {}) => {
  const answers = options.answers ?? [];
  return createWebhookAdapter({
    secret: SECRET,
    allowedHosts: options.allowedHosts,
    timeoutMs: 1_000,
    resolveName(_, done) {
      const next = (answers.length > 1 ? answers.shift() : answers[0]) ?? [];
      done(
        null,
        next.map((address): LookupAddress => ({
          address,
          family: address.includes(":") ? 6 : 4,
        })),
      );
    },
  });
};

describe("the webhook adapter", () => {
  let server: Awaited<ReturnType<typeof playServer>>;
  beforeAll(async () => {
    server = await playServer();
  });
  afterAll(() => server.close());
  beforeEach(() => {
    server.seen.splice(0);
    server.play(json({}, 202));
  });

  it("sends a signed request that its receiver can check", async () => {
    const adapter = build({ allowedHosts: ["127.0.0.1"] });
    await adapter.dispatch(`${server.url}/run`, { topic: "a" }, { registration });
    const [seen] = server.seen;
    expect(seen?.body).toEqual({ payload: { topic: "a" }, callback: registration });
    const headers = new Headers(seen?.headers as Record<string, string>);
    const check = { now: Date.now(), toleranceMs: 60_000 };
    expect(refuseWebhook(SECRET, headers, seen?.text ?? "", check)).toBeUndefined();
    expect(refuseWebhook(SECRET, headers, `${seen?.text} `, check)).toBe("forged");
    expect(headers.get("idempotency-key")).toBe("task:1.1");
    await adapter.close();
  });

  it.each([
    "http://127.0.0.1:PORT/",
    "http://2130706433:PORT/",
    "http://0x7f.1:PORT/",
    "http://[::1]:PORT/",
    "http://[::ffff:127.0.0.1]:PORT/",
    "http://[64:ff9b::7f00:1]:PORT/",
    "http://10.1.2.3/",
    "http://169.254.169.254/latest/meta-data",
    "http://[fd00::1]/",
    "http://user:pass@example.com/",
    "file:///etc/passwd",
    "runtime.example/hook",
  ])("refuses %s before it connects", async (url) => {
    const adapter = build();
    await expect(
      adapter.dispatch(url.replace("PORT", String(server.port)), {}, { registration }),
    ).rejects.toMatchObject({ code: "QUEUE_URL_REFUSED" });
    expect(server.seen).toEqual([]);
    await adapter.close();
  });

  it("refuses a name as soon as one of its addresses is private", async () => {
    const adapter = build({ answers: [["93.184.215.14", "127.0.0.1"]] });
    await expect(
      adapter.dispatch(`http://rebind.test:${server.port}/`, {}, { registration }),
    ).rejects.toMatchObject({ code: "QUEUE_URL_REFUSED" });
    await adapter.close();
  });

  it("checks the addresses it connects to, each time, so that a name cannot turn private later", async () => {
    const adapter = build({ answers: [["127.0.0.1"], ["127.0.0.1"]] });
    for (let index = 0; index < 2; index++) {
      await expect(
        adapter.dispatch(`http://rebind.test:${server.port}/`, {}, { registration }),
      ).rejects.toMatchObject({ code: "QUEUE_URL_REFUSED" });
    }
    expect(server.seen).toEqual([]);
    const allowing = build({ answers: [["127.0.0.1"]], allowedHosts: ["runtime.test"] });
    await allowing.dispatch(`http://runtime.test:${server.port}/`, {}, { registration });
    expect(server.seen).toHaveLength(1);
    await Promise.all([adapter.close(), allowing.close()]);
  });

  it("takes allowed hosts as people write them, with or without Node.js's choice among families", async () => {
    const adapter = build({ answers: [["127.0.0.1"]], allowedHosts: ["Runtime.Test", "[::1]"] });
    const url = `http://runtime.test:${server.port}/`;
    const isChoosing = getDefaultAutoSelectFamily();
    for (const choice of [isChoosing, !isChoosing]) {
      setDefaultAutoSelectFamily(choice);
      // A connection that is kept would not be looked up again.
      const fresh = build({ answers: [["127.0.0.1"]], allowedHosts: ["Runtime.Test"] });
      await fresh.dispatch(url, {}, { registration }).finally(() => {
        setDefaultAutoSelectFamily(isChoosing);
      });
      await fresh.close();
    }
    expect(server.seen).toHaveLength(2);
    // Nothing listens there; it is not refused.
    await expect(
      adapter.dispatch(`http://[::1]:${server.port}/`, {}, { registration }),
    ).rejects.toMatchObject({ code: "QUEUE_PROVIDER_UNAVAILABLE" });
    const nowhere = build({ answers: [[]] });
    await expect(nowhere.dispatch(url, {}, { registration })).rejects.toMatchObject({
      code: "QUEUE_PROVIDER_UNAVAILABLE",
      message: expect.stringContaining("runtime.test has no address") as string,
    });
    await Promise.all([adapter.close(), nowhere.close()]);
  });

  it("does not follow redirects, and says what kind of failure it met", async () => {
    const adapter = build({ allowedHosts: ["127.0.0.1"] });
    const attempt = () => adapter.dispatch(server.url, {}, { registration });
    server.play(json({}, 302, { location: "http://169.254.169.254/" }));
    await expect(attempt()).rejects.toMatchObject({ code: "QUEUE_PROVIDER_FAILED" });
    expect(server.seen).toHaveLength(1);
    server.play(json({}, 429, { "retry-after": "7" }));
    await expect(attempt()).rejects.toMatchObject({ details: { waitMs: 7_000 } });
    server.play(json({}, 500));
    await expect(attempt()).rejects.toMatchObject({ code: "QUEUE_PROVIDER_UNAVAILABLE" });
    server.play(() => {});
    await expect(attempt()).rejects.toMatchObject({ code: "QUEUE_PROVIDER_UNAVAILABLE" });
    await adapter.close();
  });
});
