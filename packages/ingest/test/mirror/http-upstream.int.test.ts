import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { waitFor } from "@millrace/core/testing";
import type { MirrorUpstream } from "@millrace/ingest";
import { describe, expect, it, onTestFinished } from "vitest";
import { HostileServer } from "../client/hostile-server.ts";
import { frame, TestClient } from "../support/client.ts";
import { type RunningServer, runServer } from "../support/running-server.ts";

interface Received {
  request: IncomingMessage;
  body: Buffer;
}

async function runHttp(answer: (response: ServerResponse, received: Received) => void) {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("error", () => {});
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const whole = { request, body: Buffer.concat(chunks) };
      received.push(whole);
      answer(response, whole);
    });
  });
  const listen = (port: number) =>
    new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  await listen(0);
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { received, port, url: `http://127.0.0.1:${port}/ingest?from=mirror` };
}

function runMirrored(url: string, options: Partial<MirrorUpstream> = {}): Promise<RunningServer> {
  return runServer({ mirror: [{ name: "web", url, timeoutMs: 5_000, ...options }] });
}

function outcomes({ server }: RunningServer) {
  const status = server.status().mirror["web"];
  if (status === undefined) throw new Error("no such upstream");
  return status.payloads;
}

async function acknowledges(running: RunningServer, payloads: Array<string | Buffer>) {
  const client = await TestClient.open(running.address);
  client.send(...payloads.map((payload) => frame(payload)));
  await client.expect("2:OK".repeat(payloads.length));
  client.socket.destroy();
}

describe("a mirror over HTTP", () => {
  it("posts exact copies with its headers, and says when they are gzip", async () => {
    const http = await runHttp((response) => response.writeHead(202).end("taken"));
    const running = await runMirrored(http.url, { headers: { authorization: "Bearer x" } });
    const payloads = [Buffer.from('[{"x":"é"}]'), gzipSync("[1]"), Buffer.alloc(300_000, "[large")];
    await acknowledges(running, payloads);
    await waitFor(() => outcomes(running).delivered === 3);
    const hex = (list: Buffer[]) => list.map((payload) => payload.toString("hex")).toSorted();
    expect(hex(http.received.map(({ body }) => body))).toEqual(hex(payloads));
    for (const { request, body } of http.received) {
      expect(request.method).toBe("POST");
      expect(request.url).toBe("/ingest?from=mirror");
      expect(request.headers).toMatchObject({
        authorization: "Bearer x",
        "content-type": "application/json",
        "content-length": String(body.length),
      });
      expect(request.headers["content-encoding"]).toBe(body[0] === 0x1f ? "gzip" : undefined);
    }
  });

  it("uses no more connections than its concurrency", async () => {
    const http = await runHttp((response) => response.end());
    const running = await runMirrored(http.url, { concurrency: 2 });
    await acknowledges(
      running,
      Array.from({ length: 50 }, (_, n) => `[${n}]`),
    );
    await waitFor(() => outcomes(running).delivered === 50);
    const ports = http.received.map(({ request }) => request.socket.remotePort);
    expect(new Set(ports).size).toBeLessThanOrEqual(2);
  });

  it.each([301, 404, 429, 500, 503])("counts an answer of %d as refused", async (status) => {
    const http = await runHttp((response) => response.writeHead(status, { location: "/" }).end());
    const running = await runMirrored(http.url);
    await acknowledges(running, ["[1]", "[2]"]);
    await waitFor(() => outcomes(running).refused === 2);
    expect(http.received).toHaveLength(2);
  });

  it("gives up on one that does not answer, and recovers when it does", async () => {
    let isStuck = true;
    const http = await runHttp((response) => {
      if (!isStuck) response.end();
    });
    const running = await runMirrored(http.url, { timeoutMs: 50 });
    await acknowledges(running, ["[1]", "[2]", "[3]"]);
    await waitFor(() => outcomes(running).timed_out === 3);
    isStuck = false;
    await acknowledges(running, ["[4]"]);
    await waitFor(() => outcomes(running).delivered === 1);
  });

  it("gives up on an answer that never ends", async () => {
    const http = await runHttp((response) => {
      response.write("x");
      const timer = setInterval(() => response.write("x"), 5);
      response.on("close", () => clearInterval(timer));
    });
    const running = await runMirrored(http.url, { timeoutMs: 50 });
    await acknowledges(running, ["[1]"]);
    await waitFor(() => outcomes(running).timed_out === 1);
  });

  it.each(["garbage", "reset", "close"] as const)(
    "counts one that answers with %s as broken",
    async (behaviour) => {
      const http = await runHttp((response) => {
        if (behaviour === "garbage") response.socket?.end("2:OK 2:OK\r\n\r\n");
        else if (behaviour === "reset") response.socket?.resetAndDestroy();
        else response.socket?.destroy();
      });
      const running = await runMirrored(http.url);
      await acknowledges(running, ["[1]"]);
      await waitFor(() => outcomes(running).broken === 1);
    },
  );

  it("gives up on one that takes connections and reads nothing", async () => {
    const upstream = await HostileServer.run("stop-reading");
    const running = await runMirrored(`http://127.0.0.1:${upstream.port}/`, { timeoutMs: 100 });
    await acknowledges(running, [Buffer.alloc(8_000_000, "[x")]);
    await waitFor(() => outcomes(running).timed_out === 1);
    expect(running.server.status().mirror["web"]).toMatchObject({ queuedBytes: 0 });
  });

  it("keeps copies while nobody listens, and drops them at the end of close's grace", async () => {
    const upstream = await HostileServer.run();
    await upstream.stop();
    const running = await runMirrored(`http://127.0.0.1:${upstream.port}/`);
    await acknowledges(running, ["[1]", "[2]"]);
    await waitFor(() => running.logger.lines.some(({ message }) => message.includes("mirror")));
    expect(running.server.status().mirror["web"]?.queuedPayloads).toBe(2);
    await running.server.close({ graceMs: 50 });
    expect(outcomes(running).closed).toBe(2);
  });
});
