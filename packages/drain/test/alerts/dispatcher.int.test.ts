import { waitFor } from "@millrace/core/testing";
import {
  type AlertChannel,
  discordChannel,
  slackChannel,
  webhookChannel,
} from "@millrace/drain/alerts";
import { Webhook } from "standardwebhooks";
import { describe, expect, it } from "vitest";
import { runPool } from "../fixtures/running-pool.ts";
import { emptyDatabase } from "../fixtures/empty-database.ts";
import { exception, issueSchema, resolve } from "./issues.ts";
import { receiver, status } from "./receiver.ts";
import { alertedDatabase, deliveries, runDispatcher, writeAlerts } from "./running-dispatcher.ts";

const SECRET = `whsec_${Buffer.from("a secret of at least 24 bytes").toString("base64")}`;

describe("an alert dispatcher", () => {
  it("tells each channel of a new and of a reopened issue once, in its own form", async () => {
    const database = await emptyDatabase();
    const hook = await receiver();
    const slack = await receiver();
    const discord = await receiver();
    const { dispatcher, metrics } = await runDispatcher(
      database.url,
      [
        webhookChannel({ url: hook.url, secret: SECRET }),
        slackChannel({ webhookUrl: slack.url }),
        discordChannel({ webhookUrl: discord.url }),
      ],
      { link: ({ issue }) => `https://ops.example/issues/${String(issue["fingerprint"])}` },
    );
    const { append, drained } = await runPool({ url: database.url }, { schema: issueSchema() });
    await append([exception("a"), exception("a", 1)]);
    await drained();
    await waitFor(() => [hook, slack, discord].every(({ requests }) => requests.length === 1));
    await append([exception("a", 2)]);
    await drained();
    await resolve(database, "a");
    await append([exception("a", 2_000)]);
    await drained();
    await waitFor(() => [hook, slack, discord].every(({ requests }) => requests.length === 2));

    const [first, second] = hook.requests;
    const verified = new Webhook(SECRET).verify(
      first?.text ?? "",
      first?.headers as Record<string, string>,
    );
    expect(verified).toMatchObject({
      type: "issue.new",
      data: {
        source: "nightwatch_issues",
        url: "https://ops.example/issues/a",
        issue: { fingerprint: "a", occurrences: 2, status: "open" },
      },
    });
    expect(second?.body).toMatchObject({ type: "issue.reopened" });
    expect(first?.headers["webhook-id"]).not.toBe(second?.headers["webhook-id"]);
    expect(slack.requests[0]?.body).toMatchObject({ text: "New issue: App\\Broken" });
    expect(slack.requests[0]?.text).toContain("broken a &lt;!channel&gt; &amp; more");
    expect(discord.requests[1]?.body).toMatchObject({
      embeds: [{ title: "Reopened issue: App\\Broken", url: "https://ops.example/issues/a" }],
      allowed_mentions: { parse: [] },
    });

    await waitFor(async () => (await deliveries(database))["webhook sent"] === 2);
    expect(dispatcher.status().channels["slack"]).toMatchObject({ sent: 2, failedTries: 0 });
    expect(await metrics.metrics()).toContain(
      'millrace_alerts_total{channel="discord",result="sent"} 2',
    );
    await dispatcher.close();
    expect(metrics.getMetricsAsArray()).toEqual([]);
  });

  it("goes on with the others while one channel is down, and tries that one until it is up", async () => {
    const database = await alertedDatabase(["a", "b"]);
    const up = await receiver();
    const down = await receiver();
    down.answer = status(500);
    const { dispatcher, logger } = await runDispatcher(database.url, [
      webhookChannel({ url: up.url, secret: SECRET, name: "up" }),
      webhookChannel({ url: `${down.url}/very-secret`, secret: SECRET, name: "down" }),
      webhookChannel({ url: "http://127.0.0.1:9/none", secret: SECRET, name: "closed" }),
    ]);
    await waitFor(() => dispatcher.status().channels["up"]?.sent === 2);
    await waitFor(() => (dispatcher.status().channels["down"]?.failedTries ?? 0) >= 2);
    await waitFor(() => (dispatcher.status().channels["closed"]?.failedTries ?? 0) >= 2);
    expect(up.requests).toHaveLength(2);
    expect(dispatcher.health()).toMatchObject({
      healthy: true,
      reason: expect.stringContaining("answered 500") as string,
    });
    down.answer = status(200);
    await waitFor(async () => (await deliveries(database))["down sent"] === 2);
    expect(await deliveries(database)).toEqual({ "up sent": 2, "down sent": 2, "closed open": 2 });
    expect(up.requests).toHaveLength(2);
    const told = JSON.stringify(logger.lines);
    expect(told).not.toContain("very-secret");
    expect(told).not.toContain(SECRET);
  });

  it("leaves a channel alone for as long as its 429 asks, and follows no redirect", async () => {
    const database = await alertedDatabase(["a"]);
    const limited = await receiver();
    const elsewhere = await receiver();
    const moved = await receiver();
    limited.answer = status(429, { "retry-after": "3600" });
    moved.answer = status(302, { location: elsewhere.url });
    const { dispatcher } = await runDispatcher(database.url, [
      webhookChannel({ url: limited.url, secret: SECRET, name: "limited" }),
      webhookChannel({ url: moved.url, secret: SECRET, name: "moved" }),
    ]);
    await waitFor(() => moved.requests.length >= 3);
    expect(limited.requests).toHaveLength(1);
    expect(elsewhere.requests).toHaveLength(0);
    const [row] = await database.query<{ seconds: number }>(
      "SELECT extract(epoch FROM resume_at - now())::int AS seconds FROM millrace_alert_channels WHERE channel = 'limited'",
    );
    expect(row?.seconds).toBeGreaterThan(3_500);
    // Another agent keeps to it as well.
    await dispatcher.close();
    const { dispatcher: second } = await runDispatcher(database.url, [
      webhookChannel({ url: limited.url, secret: SECRET, name: "limited" }),
    ]);
    await waitFor(() => second.status().channels["limited"]?.pending === 1);
    expect(limited.requests).toHaveLength(1);
  });

  it("does not repeat a message that the other side calls wrong", async () => {
    const database = await alertedDatabase(["bad", "good"]);
    const hook = await receiver();
    hook.answer = (response, { text }) => status(text.includes("broken bad") ? 422 : 200)(response);
    const { dispatcher } = await runDispatcher(database.url, [
      webhookChannel({ url: hook.url, secret: SECRET }),
    ]);
    await waitFor(() => dispatcher.status().channels["webhook"]?.sent === 1);
    await waitFor(async () => (await deliveries(database))["webhook rejected"] === 1);
    expect(hook.requests).toHaveLength(2);
  });

  it("cuts off a receiver that hangs, while batches land", async () => {
    const database = await emptyDatabase();
    const hook = await receiver();
    hook.answer = undefined;
    const { dispatcher } = await runDispatcher(
      database.url,
      [webhookChannel({ url: hook.url, secret: SECRET })],
      { timeoutMs: 300, leaseMs: 1_000 },
    );
    const { append, drained, pool } = await runPool(
      { url: database.url },
      { schema: issueSchema() },
    );
    await append([exception("a")]);
    await waitFor(() => hook.requests.length === 1);
    for (let batch = 1; batch <= 5; batch++) {
      await append([exception(`issue-${batch}`)]);
      await drained();
    }
    expect(pool.status()).toMatchObject({ batches: 6, retriesByReason: {} });
    expect(dispatcher.status().channels["webhook"]?.sent).toBe(0);
    await waitFor(() => (dispatcher.status().channels["webhook"]?.failedTries ?? 0) > 0);
    hook.answer = status(200);
    await waitFor(async () => (await deliveries(database))["webhook sent"] === 6);
  });

  it("groups what is over the limit, so that ten thousand issues are not ten thousand messages", async () => {
    const issues = Array.from({ length: 10_000 }, (_, index) => `issue-${index}`);
    const database = await alertedDatabase(issues);
    const hook = await receiver();
    const channel = webhookChannel({ url: hook.url, secret: SECRET });
    const options = { limits: { messages: 3, intervalMs: 3_600_000 } };
    const agents = [
      await runDispatcher(database.url, [channel], options),
      await runDispatcher(database.url, [channel], options),
    ];
    const sent = () =>
      agents.reduce(
        (sum, { dispatcher }) => sum + (dispatcher.status().channels["webhook"]?.sent ?? 0),
        0,
      );
    await waitFor(() => sent() === 10_000, { timeoutMs: 20_000 });
    // One for each part that the agents have queued by then: two as a rule, and never more than the limit.
    expect(hook.requests.length).toBeLessThanOrEqual(3);
    const grouped = hook.requests.map(({ body, text }) => {
      expect(body["type"]).toBe("issues.digest");
      expect(text.length).toBeLessThan(100_000);
      return (body["data"] as { count: number }).count;
    });
    expect(grouped.reduce((sum, count) => sum + count, 0)).toBe(10_000);
    for (let more = hook.requests.length; more < 3; more++) {
      await writeAlerts(database, [`late-${more}`]);
      await waitFor(() => hook.requests.length === more + 1);
      expect(hook.requests[more]?.body).toMatchObject({ type: "issue.new" });
    }
    await writeAlerts(database, ["too-late"]);
    await waitFor(() =>
      agents.some(({ dispatcher }) => dispatcher.status().channels["webhook"]?.pending === 1),
    );
    expect(hook.requests).toHaveLength(3);
    await database.query(
      "UPDATE millrace_alert_channels SET interval_started_at = now() - interval '2 hours'",
    );
    await waitFor(() => hook.requests.length === 4);
  });

  it("does not repeat itself about one issue", async () => {
    const database = await alertedDatabase(["a", "a", "b"]);
    const hook = await receiver();
    const { dispatcher } = await runDispatcher(database.url, [
      webhookChannel({ url: hook.url, secret: SECRET }),
    ]);
    await waitFor(async () => (await deliveries(database))["webhook sent"] === 2);
    expect(await deliveries(database)).toEqual({ "webhook sent": 2, "webhook suppressed": 1 });
    expect(dispatcher.status().channels["webhook"]).toMatchObject({ suppressed: 1 });
  });

  it("gives up what is too old, starts without PostgreSQL, and closes while a channel ignores its signal", async () => {
    const database = await alertedDatabase(["old"]);
    await database.query("UPDATE millrace_alerts SET created_at = now() - interval '2 days'");
    const hook = await receiver();
    hook.answer = status(503);
    const first = await runDispatcher(database.url, [
      webhookChannel({ url: hook.url, secret: SECRET }),
    ]);
    await waitFor(async () => (await deliveries(database))["webhook expired"] === 1);
    await waitFor(() => first.dispatcher.status().channels["webhook"]?.expired === 1);
    await first.dispatcher.close();

    let calls = 0;
    const deaf: AlertChannel = {
      name: "deaf",
      send: () => {
        calls++;
        return new Promise(() => {});
      },
    };
    await writeAlerts(database, ["new"]);
    const second = await runDispatcher(database.url, [deaf]);
    await waitFor(() => calls === 1);
    await second.dispatcher.close({ graceMs: 50 });
    expect(second.dispatcher.state).toBe("closed");

    const away = await runDispatcher("postgres://nobody@127.0.0.1:9/none", [deaf]);
    await waitFor(() => away.logger.lines.some(({ message }) => message.includes("outbox")));
    expect(away.dispatcher.state).toBe("running");
    await away.dispatcher.close();
  });

  it("refuses options that cannot work", async () => {
    const channel = { name: "twice", send: async () => {} };
    await expect(runDispatcher("postgres://127.0.0.1/x", [channel, channel])).rejects.toMatchObject(
      { code: "CONFIG_INVALID" },
    );
    await expect(
      runDispatcher("postgres://127.0.0.1/x", [channel], { timeoutMs: 10, leaseMs: 19 }),
    ).rejects.toMatchObject({ message: expect.stringContaining("leaseMs") as string });
    expect(() => webhookChannel({ url: "ftp://x", secret: "short" })).toThrow(/url.*\n.*secret/);
  });
});
