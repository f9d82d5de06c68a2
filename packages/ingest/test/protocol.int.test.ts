import { gzipSync } from "node:zlib";
import { waitFor } from "@millrace/core/testing";
import { describe, expect, it } from "vitest";
import { frame, sendAsOfficialClient, TestClient } from "./support/client.ts";
import { runServer, waitForNoConnections } from "./support/running-server.ts";

describe("the wire protocol", () => {
  it("serves the official client: one connection a payload, four bytes back, closed by the client", async () => {
    const running = await runServer({ tokens: [{ name: "shop", token: "secret" }] });
    const payloads = Array.from({ length: 200 }, (_, index) => `[{"t":"log","n":${index}}]`);
    const replies = await Promise.all(
      payloads.map((payload) => sendAsOfficialClient(running.address, payload)),
    );
    expect(new Set(replies)).toEqual(new Set(["2:OK"]));
    const stored = running.stored();
    expect(new Set(stored.map(({ payload }) => payload.toString()))).toEqual(new Set(payloads));
    expect(stored).toHaveLength(200);
    expect(new Set(stored.map(({ token }) => token))).toEqual(new Set(["shop"]));
    await waitForNoConnections(running);
    expect(running.server.status()).toMatchObject({ payloads: 200, connections: 200 });
  });

  it("has the payload in the file by the time that it answers", async () => {
    const running = await runServer();
    const client = await TestClient.open(running.address);
    for (let count = 1; count <= 20; count++) {
      client.send(frame(`[${count}]`));
      await client.expect("2:OK".repeat(count));
      expect(running.stored()).toHaveLength(count);
    }
    client.socket.destroy();
  });

  it("keeps a connection open for more frames and answers each in order", async () => {
    const running = await runServer();
    const client = await TestClient.open(running.address);
    const payloads = Array.from({ length: 3_000 }, (_, index) =>
      index % 7 === 0 ? "PING" : `[${index}]`,
    );
    client.send(Buffer.concat(payloads.map((payload) => frame(payload))));
    await client.expect("2:OK".repeat(3_000));
    const sent = payloads.filter((payload) => payload !== "PING");
    expect(running.stored().map(({ payload }) => payload.toString())).toEqual(sent);
    expect(running.server.status().pings).toBe(3_000 - sent.length);
    client.socket.destroy();
  });

  it("answers a ping without storing anything, and checks its token", async () => {
    const running = await runServer({ tokens: ["secret"] });
    expect(await sendAsOfficialClient(running.address, "PING")).toBe("2:OK");
    expect(await sendAsOfficialClient(running.address, "PING", "0000000")).toBe("5:ER");
    expect(running.stored()).toEqual([]);
    expect(running.server.status()).toMatchObject({ pings: 1, refusals: { token: 1 } });
  });

  it("takes a frame byte by byte", async () => {
    const running = await runServer();
    const client = await TestClient.open(running.address);
    for (const byte of frame('[{"x":"é"}]')) {
      client.send(Uint8Array.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await client.expect("2:OK");
    expect(running.stored()[0]?.payload.toString()).toBe('[{"x":"é"}]');
    client.socket.destroy();
  });

  it("stores every byte as received: gzip, NUL, invalid UTF-8, several megabytes", async () => {
    const running = await runServer();
    const payloads = [
      gzipSync('[{"t":"log"}]'),
      Buffer.from([0, 0xff, 0xfe, 0x3a, 0x0a]),
      Buffer.from("not json"),
      Buffer.alloc(9 * 1024 * 1024, "0123456789abcdef:"),
    ];
    const client = await TestClient.open(running.address);
    client.send(...payloads.map((payload) => frame(payload)));
    await client.expect("2:OK".repeat(payloads.length));
    const stored = running.stored();
    expect(stored).toHaveLength(payloads.length);
    for (const [index, payload] of payloads.entries()) {
      expect(stored[index]?.payload.equals(payload)).toBe(true);
    }
    expect(running.server.status().payloadBytes).toBe(
      payloads.reduce((sum, { length }) => sum + length, 0),
    );
    client.socket.destroy();
  });

  it("answers a client that half-closes right after its frame", async () => {
    const running = await runServer();
    const client = await TestClient.open(running.address);
    client.socket.end(Buffer.concat([frame("[1]"), frame("[2]")]));
    await client.expectEnd("2:OK2:OK");
    await waitForNoConnections(running);
    expect(running.stored()).toHaveLength(2);
  });

  it("names the token of each frame of one connection", async () => {
    const running = await runServer({
      tokens: [
        { name: "a", token: "abc" },
        { name: "b", token: "secret" },
      ],
    });
    const client = await TestClient.open(running.address);
    client.send(frame("[1]", "06b05ab"), frame("[2]", "ed2b0d3"), frame("[3]", "06b05ab"));
    await client.expect("2:OK2:OK2:OK");
    expect(running.stored().map(({ token }) => token)).toEqual(["a", "b", "a"]);
    client.socket.destroy();
  });
});

describe("a refusal", () => {
  it.each([
    ["bad_header", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"],
    ["bad_header", "\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001"],
    ["bad_header", "1".repeat(100_000)],
    ["version", "12:abcdef0:PING"],
    ["frame_too_small", "4:PING"],
    ["frame_too_large", `1073741824:v1:ed2b0d3:${"x".repeat(2_000_000)}`],
    ["empty", "11:v1:ed2b0d3:"],
    ["token", "15:v1:0000000:PING"],
  ])("says 5:ERROR, closes and counts %s", async (reason, bytes) => {
    const running = await runServer({ tokens: ["secret"] });
    const refused: unknown[] = [];
    running.server.on("frame:refused", (event) => refused.push(event));
    const client = await TestClient.open(running.address);
    client.send(bytes);
    await client.expectEnd("5:ERROR");
    await waitForNoConnections(running);
    expect(running.server.status().refusals).toMatchObject({ [reason]: 1 });
    expect(refused).toEqual([{ reason, remoteAddress: "127.0.0.1" }]);
    expect(running.stored()).toEqual([]);
    expect(await running.metrics.metrics()).toContain(
      `millrace_ingest_refusals_total{reason="${reason}"} 1`,
    );
  });

  it("comes after the answers to the thousand frames before it, and nothing comes after it", async () => {
    const running = await runServer();
    const client = await TestClient.open(running.address);
    const frames = Array.from({ length: 1_000 }, (_, index) => frame(`[${index}]`));
    client.send(Buffer.concat([...frames, Buffer.from("15:v9:ed2b0d3:PING"), frame("[late]")]));
    await client.expectEnd(`${"2:OK".repeat(1_000)}5:ERROR`);
    expect(running.stored()).toHaveLength(1_000);
  });

  it("reaches a client that is still sending megabytes", async () => {
    const running = await runServer({ limits: { maxFrameBytes: 1_000 } });
    const client = await TestClient.open(running.address);
    client.send(frame(Buffer.alloc(20 * 1024 * 1024, "x")));
    await client.expectEnd("5:ERROR");
    expect(running.server.status().refusals.frame_too_large).toBe(1);
  });

  it("of a wrong token comes with the header, before the payload", async () => {
    const running = await runServer({ tokens: ["secret"] });
    const client = await TestClient.open(running.address);
    client.send("5000000:v1:0000000:");
    await client.expectEnd("5:ERROR");
    expect(running.server.status().refusals.token).toBe(1);
  });

  it("of a frame cut short by the end of the stream says so", async () => {
    const running = await runServer();
    const client = await TestClient.open(running.address);
    client.socket.end(Buffer.concat([frame("[1]"), Buffer.from("500:v1:ed2b0d3:[")]));
    await client.expectEnd("2:OK5:ERROR");
    expect(running.server.status().refusals.truncated).toBe(1);
  });

  it("tells the operator of old clients, once for many of them", async () => {
    const running = await runServer();
    for (let count = 0; count < 20; count++) {
      const client = await TestClient.open(running.address);
      client.send("12:abcdef0:PING");
      await client.expectEnd("5:ERROR");
    }
    const warnings = running.logger.lines.filter(({ level }) => level === "warn");
    expect(warnings).toHaveLength(1);
    expect(warnings[0]?.message).toContain("older than 1.11");
    expect(warnings[0]?.fields).toEqual({ reason: "version", remoteAddress: "127.0.0.1" });
  });
});

it("a connection reset in the middle of a frame is counted and leaves nothing behind", async () => {
  const running = await runServer();
  const client = await TestClient.open(running.address);
  client.send("1000000:v1:ed2b0d3:", Buffer.alloc(300_000));
  await waitFor(() => running.server.status().unfinishedBytes >= 300_000);
  client.socket.resetAndDestroy();
  await waitForNoConnections(running);
  expect(running.server.status()).toMatchObject({ socketErrors: 1, unfinishedBytes: 0 });
  expect(running.logger.lines.filter(({ level }) => level === "warn")).toEqual([]);
});
