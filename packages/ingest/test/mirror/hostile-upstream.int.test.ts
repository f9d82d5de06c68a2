import { waitFor } from "@millrace/core/testing";
import { describe, expect, it } from "vitest";
import { type Behaviour, HostileServer } from "../client/hostile-server.ts";
import { frame, TestClient } from "../support/client.ts";
import { type RunningServer, runServer } from "../support/running-server.ts";

function runMirrored(port: number, timeoutMs: number): Promise<RunningServer> {
  return runServer({
    tokens: ["secret"],
    mirror: [{ name: "other", host: "127.0.0.1", port, timeoutMs }],
  });
}

function upstreamOf({ server }: RunningServer) {
  const status = server.status().mirror["other"];
  if (status === undefined) throw new Error("no such upstream");
  return status;
}

async function acknowledges(running: RunningServer, payloads: number): Promise<void> {
  const client = await TestClient.open(running.address);
  client.send(...Array.from({ length: payloads }, (_, n) => frame(`[${n}]`)));
  await client.expect("2:OK".repeat(payloads));
  client.socket.destroy();
}

describe("a mirror with a hostile upstream", () => {
  it.each<[Behaviour, "refused" | "timed_out" | "broken"]>([
    ["refuse", "refused"],
    ["garbage", "broken"],
    ["never-answer", "timed_out"],
    ["stop-reading", "timed_out"],
    ["reset", "broken"],
    ["close", "broken"],
    ["close-in-mid-reply", "broken"],
    ["half-close", "broken"],
  ])(
    "%s: local payloads are acknowledged, copies are counted as %s, and it recovers",
    async (behaviour, outcome) => {
      const upstream = await HostileServer.run(behaviour);
      // Long where an answer is expected: this machine may be slow.
      const running = await runMirrored(upstream.port, outcome === "timed_out" ? 250 : 5_000);
      await acknowledges(running, 20);
      expect(running.server.status()).toMatchObject({ payloads: 20, refusals: { overload: 0 } });
      await waitFor(() => upstreamOf(running).payloads[outcome] >= 1);
      upstream.behave = "accept";
      await waitFor(() => upstreamOf(running).queuedPayloads === 0);
      await acknowledges(running, 5);
      await waitFor(() => upstreamOf(running).queuedPayloads === 0);
      const { payloads } = upstreamOf(running);
      expect(payloads.delivered).toBeGreaterThan(0);
      expect(payloads[outcome] + payloads.delivered).toBe(25);
      expect(running.stored()).toHaveLength(25);
    },
  );

  it("acknowledges while every copy is stuck, and holds no more than maxQueueBytes", async () => {
    const upstream = await HostileServer.run("never-answer");
    const maxQueueBytes = 20_000;
    const running = await runServer({
      tokens: ["secret"],
      mirror: [
        {
          name: "other",
          host: "127.0.0.1",
          port: upstream.port,
          timeoutMs: 60_000,
          maxQueueBytes,
        },
      ],
    });
    await acknowledges(running, 1_000);
    expect(upstreamOf(running).payloads).toMatchObject({ delivered: 0, timed_out: 0 });
    expect(upstreamOf(running).payloads.queue_full).toBeGreaterThan(900);
    expect(upstreamOf(running).queuedBytes).toBeLessThanOrEqual(maxQueueBytes);
    expect(running.stored()).toHaveLength(1_000);
    await running.server.close({ graceMs: 50 });
    const { payloads, queuedBytes } = upstreamOf(running);
    expect(payloads.queue_full + payloads.closed).toBe(1_000);
    expect(queuedBytes).toBe(0);
  });

  it("keeps copies for an upstream that is away and delivers them when it comes back", async () => {
    const upstream = await HostileServer.run();
    await upstream.stop();
    const running = await runMirrored(upstream.port, 5_000);
    await acknowledges(running, 50);
    await waitFor(() => running.logger.lines.some(({ message }) => message.includes("mirror")));
    expect(upstreamOf(running).queuedPayloads).toBe(50);
    await upstream.listen();
    await waitFor(() => upstreamOf(running).payloads.delivered === 50);
    expect(new Set(upstream.payloads.map(String)).size).toBe(50);
    expect(running.logger.lines.filter(({ level }) => level === "warn")).toHaveLength(1);
  });

  it("an upstream whose host does not exist harms nobody", async () => {
    const running = await runServer({
      tokens: ["secret"],
      mirror: [{ name: "other", host: "upstream.invalid" }],
    });
    await acknowledges(running, 10);
    await running.server.close({ graceMs: 100 });
    expect(upstreamOf(running).payloads.closed).toBe(10);
  });
});
