import { once } from "node:events";
import { connect, type ConnectionOptions, type TLSSocket } from "node:tls";
import { waitFor } from "@millrace/core/testing";
import { selfSigned } from "@millrace/services";
import { describe, expect, it } from "vitest";
import { frame, TestClient } from "../support/client.ts";
import { runServer, waitForNoConnections } from "../support/running-server.ts";

const theirs = selfSigned();
const own = selfSigned();

/** Sends `bytes` and resolves with everything received until the connection has closed. */
async function exchange(
  { port }: { port: number },
  bytes: string | Buffer,
  options: ConnectionOptions = {},
): Promise<string> {
  const socket = connect({ port, host: "127.0.0.1", ca: theirs.cert, ...options });
  let received = "";
  socket.on("data", (chunk: Buffer) => {
    received += chunk.toString("latin1");
    if (received.endsWith("2:OK")) socket.end();
  });
  socket.on("error", () => {});
  socket.on("secureConnect", () => socket.write(bytes));
  await new Promise((resolve) => socket.on("close", resolve));
  return received;
}

async function openTls({ port }: { port: number }): Promise<TLSSocket> {
  const socket = connect({ port, host: "127.0.0.1", ca: theirs.cert });
  await once(socket, "secureConnect");
  return socket;
}

describe("tls", () => {
  it("takes payloads over TLS and answers each refusal before it closes", async () => {
    const running = await runServer({ tls: theirs });
    expect(await exchange(running.address, frame("[1]"))).toBe("2:OK");
    expect(await exchange(running.address, Buffer.alloc(1_000_000, "x"))).toBe("5:ERROR");
    expect(running.stored().map(({ payload }) => payload.toString())).toEqual(["[1]"]);
    expect(running.server.status().refusals).toMatchObject({ bad_header: 1, tls: 0 });
  });

  it("a payload of several MiB passes unharmed", async () => {
    const running = await runServer({ tls: theirs });
    const large = `["${"é".repeat(2_000_000)}"]`;
    expect(await exchange(running.address, frame(large))).toBe("2:OK");
    expect(running.stored()[0]?.payload.toString()).toBe(large);
  });

  it("mutual TLS lets in who shows a known certificate and nobody else", async () => {
    const running = await runServer({ tls: { ...theirs, ca: own.cert, requestCert: true } });
    expect(await exchange(running.address, frame("[1]"), own)).toBe("2:OK");
    expect(await exchange(running.address, frame("[2]"))).toBe("");
    expect(await exchange(running.address, frame("[3]"), selfSigned())).toBe("");
    await waitFor(() => running.server.status().refusals.tls === 2);
    expect(running.stored()).toHaveLength(1);
    await waitForNoConnections(running);
  });

  it("a client that is older than minVersion is refused", async () => {
    const running = await runServer({ tls: { ...theirs, minVersion: "TLSv1.3" } });
    expect(await exchange(running.address, frame("[1]"), { maxVersion: "TLSv1.2" })).toBe("");
    await waitFor(() => running.server.status().refusals.tls === 1);
  });

  it("a client that speaks plain TCP is refused and counted, and harms nobody", async () => {
    const running = await runServer({ tls: theirs });
    const neighbour = await openTls(running.address);
    const plain = await TestClient.open(running.address);
    plain.send(frame("[1]"));
    await waitFor(() => plain.isClosed || plain.hasEnded, { description: "refusal" });
    expect(plain.received).not.toContain("2:OK");
    expect(running.server.status().refusals.tls).toBe(1);
    expect(running.logger.lines).toContainEqual(
      expect.objectContaining({
        level: "warn",
        fields: expect.objectContaining({ reason: "tls", remoteAddress: "127.0.0.1" }),
      }),
    );
    neighbour.write(frame("[2]"));
    const [reply] = (await once(neighbour, "data")) as [Buffer];
    expect(reply.toString()).toBe("2:OK");
    neighbour.destroy();
    plain.socket.destroy();
    expect(running.stored()).toHaveLength(1);
  });

  it("a handshake that never comes, or drips, is over after headerTimeoutMs", async () => {
    const running = await runServer({ tls: theirs, limits: { headerTimeoutMs: 300 } });
    const silent = await TestClient.open(running.address);
    const dripping = await TestClient.open(running.address);
    // A record of 512 bytes that holds a ClientHello.
    dripping.send(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00]));
    const drip = setInterval(() => dripping.send(Buffer.of(0)), 20);
    await waitFor(() => silent.hasEnded || silent.isClosed);
    await waitFor(() => dripping.hasEnded || dripping.isClosed);
    clearInterval(drip);
    expect(running.server.status().refusals.tls).toBe(2);
    silent.socket.destroy();
    dripping.socket.destroy();
    await waitForNoConnections(running);
  });

  it("unfinished handshakes count as connections, and closing cuts them off", async () => {
    const running = await runServer({ tls: theirs, limits: { maxConnections: 2 } });
    const silent = [await TestClient.open(running.address), await TestClient.open(running.address)];
    await waitFor(() => running.server.status().openConnections === 2);
    expect(await exchange(running.address, frame("[1]"))).toBe("");
    expect(running.server.status().refusals.too_many_connections).toBe(1);
    await running.server.close({ graceMs: 50 });
    await waitFor(() => silent.every(({ hasEnded, isClosed }) => hasEnded || isClosed));
    for (const { socket } of silent) socket.destroy();
  });

  it("a key that does not belong to the certificate fails the start", async () => {
    const tls = { cert: theirs.cert, key: own.key };
    await expect(runServer({ tls })).rejects.toMatchObject({ code: "INGEST_TLS_INVALID" });
  });
});
