import { gzipSync } from "node:zlib";
import { waitFor } from "@millrace/core/testing";
import { describe, expect, it } from "vitest";
import { HostileServer } from "../client/hostile-server.ts";
import { frame, sendAsOfficialClient, TestClient } from "../support/client.ts";
import { runServer } from "../support/running-server.ts";

const tokens = [
  { name: "shop", token: "secret" },
  { name: "blog", token: "nightwatch" },
];

describe("a mirror with healthy upstreams", () => {
  it("hands on exact copies of what is stored, under the token that they came with", async () => {
    const upstream = await runServer({ tokens });
    const { port } = upstream.address;
    const running = await runServer({
      tokens,
      mirror: [{ name: "other", host: "127.0.0.1", timeoutMs: 5_000, port }],
    });
    const payloads = [
      Buffer.from('[{"x":"é"}]'),
      Buffer.from("not json at all: 5:ERROR"),
      gzipSync('[{"t":"log"}]'),
      Buffer.from([0, 255, 1, 254, 0]),
      Buffer.alloc(700_000, "large "),
    ];
    const client = await TestClient.open(running.address);
    client.send(Buffer.concat(payloads.map((payload) => frame(payload))));
    client.send(frame("[1]", "59b55e9"), frame("PING"));
    await client.expect("2:OK".repeat(payloads.length + 2));
    await waitFor(() => running.server.status().mirror["other"]?.payloads.delivered === 6);
    const sorted = (from: typeof running) =>
      from
        .stored()
        .map(({ payload, token }) => `${token} ${payload.toString("hex")}`)
        .toSorted();
    expect(sorted(upstream)).toEqual(sorted(running));
    expect(upstream.stored()).toHaveLength(6);
    expect(running.server.status().mirror["other"]).toMatchObject({
      queuedBytes: 0,
      queuedPayloads: 0,
    });
    client.socket.destroy();
  });

  it("serves several upstreams independently, with their own token where one is set", async () => {
    const good = await HostileServer.run();
    const bad = await HostileServer.run("refuse");
    const running = await runServer({
      mirror: [
        { name: "good", host: "127.0.0.1", timeoutMs: 5_000, port: good.port, token: "nightwatch" },
        { name: "bad", host: "127.0.0.1", timeoutMs: 5_000, port: bad.port, token: "secret" },
      ],
    });
    for (let n = 0; n < 10; n++) await sendAsOfficialClient(running.address, `[${n}]`);
    await waitFor(() => running.server.status().mirror["bad"]?.payloads.refused === 10);
    await waitFor(() => running.server.status().mirror["good"]?.payloads.delivered === 10);
    expect(good.headers.every((header) => header === "14:v1:59b55e9:")).toBe(true);
    const text = await running.metrics.metrics();
    expect(text).toContain(
      'millrace_ingest_mirror_payloads_total{upstream="good",outcome="delivered"} 10',
    );
    expect(text).toContain(
      'millrace_ingest_mirror_payloads_total{upstream="bad",outcome="refused"} 10',
    );
    expect(text).toContain('millrace_ingest_mirror_queue_bytes{upstream="bad"} 0');
    await running.server.close();
    expect(await running.metrics.metrics()).not.toContain("mirror");
  });

  it("does not hand on what was refused", async () => {
    const upstream = await HostileServer.run();
    const running = await runServer({
      tokens,
      mirror: [{ name: "other", host: "127.0.0.1", timeoutMs: 5_000, port: upstream.port }],
    });
    await running.buffer.close();
    expect(await sendAsOfficialClient(running.address, "[1]")).toBe("5:ER");
    expect(await sendAsOfficialClient(running.address, "[1]", "0000000")).toBe("5:ER");
    await running.server.close();
    expect(upstream.payloads).toEqual([]);
  });

  it("is emptied by close, in its grace period", async () => {
    const upstream = await HostileServer.run();
    const running = await runServer({
      tokens,
      mirror: [
        { name: "other", host: "127.0.0.1", timeoutMs: 5_000, port: upstream.port, concurrency: 1 },
      ],
    });
    const client = await TestClient.open(running.address);
    client.send(...Array.from({ length: 100 }, (_, n) => frame(`[${n}]`)));
    await client.expect("2:OK".repeat(100));
    await running.server.close();
    expect(upstream.payloads.map(String)).toEqual(Array.from({ length: 100 }, (_, n) => `[${n}]`));
    expect(running.server.status().mirror["other"]?.payloads.delivered).toBe(100);
  });
});
