import { waitFor } from "@millrace/core/testing";
import { describe, expect, it } from "vitest";
import { type Behaviour, HostileServer } from "./hostile-server.ts";
import { numbered, runClient } from "./running-client.ts";

const times = { connectTimeoutMs: 500, replyTimeoutMs: 40 };

const misbehaviours: Behaviour[] = [
  "refuse",
  "garbage",
  "never-answer",
  "stop-reading",
  "reset",
  "close",
  "close-in-mid-reply",
  "half-close",
  "unasked-replies",
];

describe("a client of a server that misbehaves", () => {
  it.each(misbehaviours)("%s: tries again and delivers when it behaves", async (behaviour) => {
    const server = await HostileServer.run(behaviour);
    const { client } = await runClient({ port: server.port, ...times, maxBatchRecords: 10 });
    expect(client.send(numbered(30))).toBe(true);
    await waitFor(() => server.connections >= 3);
    server.behave = "accept";
    expect(await client.flush()).toBe(true);
    expect(new Set(server.records.map((record) => (record as { n: number }).n)).size).toBe(30);
    expect(client.status()).toMatchObject({ acknowledgedRecords: 30, unansweredBatches: 0 });
    await client.close();
    expect(client.status().connection).toBe("disconnected");
  });

  it("replies of one byte at a time are replies", async () => {
    const server = await HostileServer.run("drip-reply");
    const { client } = await runClient({ port: server.port });
    client.send(numbered(1));
    expect(await client.flush()).toBe(true);
    expect(server.connections).toBe(1);
  });

  it("whatever it does from frame to frame, every record is acknowledged in the end", async () => {
    const choices: Behaviour[] = [...misbehaviours, ...Array<Behaviour>(20).fill("accept")];
    let seed = 7;
    const server = await HostileServer.run(() => {
      seed = (seed * 48_271) % 2_147_483_647;
      return choices[seed % choices.length] ?? "accept";
    });
    const { client } = await runClient({
      port: server.port,
      ...times,
      maxBatchRecords: 5,
      maxUnansweredBatches: 3,
    });
    for (let at = 0; at < 300; at += 10) {
      client.send(numbered(10, at));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await client.flush({ timeoutMs: 20_000 })).toBe(true);
    const seen = new Set(server.records.map((record) => (record as { n: number }).n));
    expect(seen.size).toBe(300);
    expect(client.status().acknowledgedRecords).toBe(300);
  });

  it("a server that is none at all fails its health and loses nothing", async () => {
    const server = await HostileServer.run("garbage");
    const { client } = await runClient({ port: server.port });
    client.send(numbered(1));
    await waitFor(() => !client.health().healthy);
    expect(client.health().reason).toContain("is it an ingest server?");
    expect(client.status().bufferedRecords).toBe(1);
  });
});
