import { existsSync, statSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { openPayload } from "@millrace/core";
import { waitFor } from "@millrace/core/testing";
import { selfSigned } from "@millrace/services";
import { Agent, fetch, type RequestInit } from "undici";
import { describe, expect, it, onTestFinished } from "vitest";
import { runServer, type RunningServer } from "../support/running-server.ts";
import { frame, sendAsOfficialClient } from "../support/client.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const RECORDS = '[{"t":"log","message":"é"}]';
const TOKEN = "secret-of-the-shop";
const tokens = [{ name: "shop", token: TOKEN }];

interface Answer {
  status: number;
  headers: Record<string, string>;
  text: string;
  code: string | undefined;
}

/** Sends on a connection of its own. */
async function post(
  running: RunningServer,
  init: RequestInit & { path?: string; scheme?: "http" | "https" } = {},
): Promise<Answer> {
  const serverScheme = running.server.options.tls === undefined ? "http" : "https";
  const { path = "/v1/ingest", scheme = serverScheme, headers, ...rest } = init;
  const dispatcher = new Agent({ connect: { rejectUnauthorized: false }, pipelining: 0 });
  onTestFinished(() => dispatcher.close());
  const response = await fetch(
    `${scheme}://127.0.0.1:${running.server.httpAddress().port}${path}`,
    {
      method: "POST",
      body: RECORDS,
      dispatcher,
      ...rest,
      headers: {
        "content-type": "application/json",
        authorization: `Bearer ${TOKEN}`,
        ...(headers as Record<string, string>),
      },
    },
  );
  const text = await response.text();
  const isError =
    response.headers.get("content-type") === "application/json" && response.status >= 400;
  return {
    status: response.status,
    headers: Object.fromEntries(response.headers),
    text,
    code: isError ? (JSON.parse(text) as { error?: { code: string } }).error?.code : undefined,
  };
}

const http = { port: 0 };

describe("POST /v1/ingest", () => {
  it("stores an array as it came, without an envelope, under the token's name", async () => {
    const running = await runServer({ http, tokens });
    expect(await post(running)).toMatchObject({ status: 202, text: "{}" });
    expect(running.stored()).toEqual([{ payload: Buffer.from(RECORDS), token: "shop" }]);
    const metrics = await running.metrics.metrics();
    expect(metrics).toContain('millrace_ingest_transport_payloads_total{transport="http"} 1');
    expect(metrics).toContain('millrace_ingest_payloads_total{token="shop"} 1');
  });

  it("stores objects, NDJSON and gzip as they came, and says which they are", async () => {
    const running = await runServer({ http, tokens });
    const object = ' {"t":"log"}';
    const lines = '{"t":"log"}\n{"t":"log"}\n';
    const zipped = gzipSync(RECORDS);
    await post(running, { body: object });
    await post(running, { body: lines, headers: { "content-type": "application/x-ndjson" } });
    await post(running, { body: zipped, headers: { "content-encoding": "gzip" } });
    const opened = running.stored().map(({ payload }) => openPayload(payload));
    expect(opened.map(({ kind }) => kind)).toEqual(["json", "ndjson", "json"]);
    expect(opened.map(({ content }) => Buffer.from(content))).toEqual([
      Buffer.from(object),
      Buffer.from(lines),
      zipped,
    ]);
  });

  it("answers each mistake with its status and a code, stores nothing and goes on", async () => {
    const running = await runServer({ http, tokens, limits: { maxFrameBytes: 1_011 } });
    const wrong: Array<[RequestInit & { path?: string }, number, string]> = [
      [{ body: "" }, 400, "empty"],
      [{ body: "hello" }, 400, "bad_request"],
      [{ headers: { "content-encoding": "gzip" } }, 400, "bad_request"],
      [{ headers: { authorization: "" } }, 401, "token"],
      [{ headers: { authorization: "Bearer ed2b0d3" } }, 401, "token"],
      [{ headers: { authorization: `Basic ${TOKEN}` } }, 401, "token"],
      [{ path: "/v1/other" }, 404, "not_found"],
      [{ method: "PUT" }, 405, "method"],
      [{ body: `[${" ".repeat(1_000)}]` }, 413, "frame_too_large"],
      [{ headers: { "content-type": "text/plain" } }, 415, "media_type"],
      [{ headers: { "content-type": "constructor" } }, 415, "media_type"],
      [{ headers: { "content-encoding": "br" } }, 415, "media_type"],
    ];
    for (const [init, status, code] of wrong) {
      const answer = await post(running, init);
      expect([answer.status, answer.code]).toEqual([status, code]);
      if (status === 401) expect(answer.headers["www-authenticate"]).toBe("Bearer");
      if (status === 405) expect(answer.headers["allow"]).toBe("POST");
    }
    expect(running.stored()).toEqual([]);
    expect(running.server.status().refusals).toMatchObject({ token: 3, bad_request: 2, method: 1 });
    expect((await post(running, { body: `[${" ".repeat(998)}]` })).status).toBe(202);
  });

  it("refuses what streams past the limit, although it declares no length", async () => {
    const running = await runServer({ http, limits: { maxFrameBytes: 1_011 } });
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        for (let index = 0; index < 20; index++) controller.enqueue(Buffer.alloc(100, 0x20));
        controller.close();
      },
    });
    const answer = await post(running, { body, duplex: "half" });
    expect([answer.status, answer.code]).toEqual([413, "frame_too_large"]);
  });

  it("asks to come back later over a rate, under pressure, without room or memory", async () => {
    const rated = await runServer({
      http,
      tokens: [{ name: "shop", token: TOKEN, payloadsPerSecond: 1e-9 }],
    });
    expect((await post(rated)).status).toBe(202);
    const overRate = await post(rated);
    expect([overRate.status, overRate.code, overRate.headers["retry-after"]]).toEqual([
      429,
      "rate",
      "1",
    ]);

    const pressed = await runServer({ http, pressure: { pressure: "closed", on: () => () => {} } });
    expect(await post(pressed)).toMatchObject({ status: 503, code: "overload" });

    const full = await runServer({ http }, { maxRows: 1, whenFull: "reject" });
    expect((await post(full)).status).toBe(202);
    const refused = await post(full);
    expect([refused.status, refused.code, refused.headers["retry-after"]]).toEqual([
      503,
      "buffer_full",
      "1",
    ]);
    expect(full.stored()).toHaveLength(1);

    const narrow = await runServer({
      http,
      limits: { maxFrameBytes: 1_000, maxUnfinishedBytes: 1_000 },
    });
    const occupied = connect(narrow.address.port, "127.0.0.1");
    onTestFinished(() => void occupied.destroy());
    occupied.write(frame("x".repeat(980)).subarray(0, 500));
    await waitFor(() => narrow.server.status().unfinishedBytes > 0, {
      description: "half a frame",
    });
    const starved = await post(narrow, { body: `[${" ".repeat(500)}]` });
    expect([starved.status, starved.code]).toEqual([503, "memory"]);
  });

  it("turns addresses and connections away as TCP does, and counts both together", async () => {
    const denied = await runServer({ http, deny: ["127.0.0.1"] });
    expect(await post(denied)).toMatchObject({ status: 403, code: "address" });
    const narrow = await runServer({ http, limits: { maxConnections: 1 } });
    const occupied = connect(narrow.address.port, "127.0.0.1");
    onTestFinished(() => void occupied.destroy());
    await waitFor(() => narrow.server.status().openConnections === 1, { description: "occupied" });
    expect(await post(narrow)).toMatchObject({ status: 503, code: "too_many_connections" });
  });

  it("has limits of its own where it is given them, counted and told apart from TCP", async () => {
    const limits = { maxConnections: 1, maxBodyBytes: 1_000 };
    const running = await runServer({ http: { port: 0, limits }, limits: { maxConnections: 1 } });
    const overTcp = connect(running.address.port, "127.0.0.1");
    onTestFinished(() => void overTcp.destroy());
    await waitFor(() => running.server.status().openConnections === 1);
    const large = await post(running, { body: `[${" ".repeat(1_000)}]` });
    expect([large.status, large.code]).toEqual([413, "frame_too_large"]);
    expect((await post(running, { body: `[${" ".repeat(998)}]` })).status).toBe(202);
    const kept = connect(running.server.httpAddress().port, "127.0.0.1");
    onTestFinished(() => void kept.destroy());
    await waitFor(() => running.server.status().openConnections === 2);
    expect(await post(running)).toMatchObject({ status: 503, code: "too_many_connections" });
    expect(running.server.health()).toMatchObject({ healthy: false });
    const metrics = await running.metrics.metrics();
    const refusals = "millrace_ingest_transport_refusals_total";
    expect(metrics).toContain(`${refusals}{transport="http",reason="too_many_connections"} 1`);
    expect(metrics).toContain(`${refusals}{transport="http",reason="frame_too_large"} 1`);
    expect(metrics).not.toContain(`${refusals}{transport="tcp"`);
    expect(metrics).toContain("millrace_ingest_limit_connections 2");

    const one = { http: { port: 0, limits: { maxConnectionsPerAddress: 1 } } };
    const perAddress = await runServer(one);
    const first = connect(perAddress.server.httpAddress().port, "127.0.0.1");
    onTestFinished(() => void first.destroy());
    await waitFor(() => perAddress.server.status().openConnections === 1);
    expect((await post(perAddress)).code).toBe("too_many_connections_per_address");
    expect(await sendAsOfficialClient(perAddress.address, "[]")).toBe("2:OK");
  });

  it("takes allow and deny of its own in the place of the server's", async () => {
    const open = await runServer({ deny: ["127.0.0.1"], http: { port: 0, deny: [] } });
    expect((await post(open)).status).toBe(202);
    expect(await sendAsOfficialClient(open.address, "[]")).toBe("5:ER");
    const closed = await runServer({ http: { port: 0, allow: ["10.0.0.0/8"] } });
    expect(await post(closed)).toMatchObject({ status: 403, code: "address" });
    expect(await sendAsOfficialClient(closed.address, "[]")).toBe("2:OK");
  });

  it("listens on a Unix socket that only its own user may use, without TLS or allow", async () => {
    const path = join(temporaryFolder(), "http.sock");
    const running = await runServer({
      http: { socket: path },
      tls: selfSigned(),
      allow: ["10.0.0.0/8"],
    });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(() => running.server.httpAddress()).toThrow(path);
    const dispatcher = new Agent({ connect: { socketPath: path } });
    onTestFinished(() => dispatcher.close());
    const headers = { "content-type": "application/json" };
    const init = { method: "POST", body: RECORDS, headers, dispatcher };
    expect((await fetch("http://localhost/v1/ingest", init)).status).toBe(202);
    await running.server.close({ graceMs: 1_000 });
    expect(existsSync(path)).toBe(false);
    const group = await runServer({ http: { socket: path, socketMode: 0o660 } });
    expect(statSync(path).mode & 0o777).toBe(0o660);
    await group.server.close();
  });

  it("speaks a TLS of its own, or none beside a server that speaks it", async () => {
    const own = await runServer({ http: { port: 0, tls: selfSigned() } });
    expect((await post(own, { scheme: "https" })).status).toBe(202);
    expect(await sendAsOfficialClient(own.address, "[]")).toBe("2:OK");
    const none = await runServer({ http: { port: 0, tls: false }, tls: selfSigned() });
    expect((await post(none, { scheme: "http" })).status).toBe(202);
  });

  it("speaks TLS with the server's certificate", async () => {
    const running = await runServer({ http, tls: selfSigned() });
    expect((await post(running)).status).toBe(202);
    expect(running.stored()).toHaveLength(1);
  });

  it("gives up on slow headers and slow bodies, and on what is not HTTP", async () => {
    const running = await runServer({
      http,
      limits: { headerTimeoutMs: 200, frameTimeoutMs: 400 },
    });
    const head = "POST /v1/ingest HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
    const ownTimes = await runServer({
      http: {
        port: 0,
        limits: { headerTimeoutMs: 200, requestTimeoutMs: 400, idleTimeoutMs: 200 },
      },
    });
    const answers = await Promise.all([
      converse(running, head),
      converse(running, `${head}Content-Length: 100\r\n\r\n[`),
      converse(running, "15:v1:ed2b0d3:PING\r\n\r\n"),
    ]);
    expect(answers.map((answer) => answer.slice(0, 12))).toEqual([
      "HTTP/1.1 408",
      "HTTP/1.1 408",
      "HTTP/1.1 400",
    ]);
    const late = await Promise.all([
      converse(ownTimes, ""),
      converse(ownTimes, head),
      converse(ownTimes, `${head}Content-Length: 100\r\n\r\n[`),
      converse(ownTimes, `${head}Content-Length: 2\r\n\r\n[]`),
    ]);
    // The last one was answered, and then kept for nothing.
    expect(late.map((answer) => answer.slice(9, 12))).toEqual(["408", "408", "408", "202"]);
    expect(running.server.status().refusals).toMatchObject({
      header_timeout: 1,
      frame_timeout: 1,
      bad_header: 1,
      truncated: 0,
    });
    expect(running.stored()).toEqual([]);
  });

  it("finishes requests in flight when it closes, and no idle connection holds it up", async () => {
    const running = await runServer({ http });
    const idle = connect(running.server.httpAddress().port, "127.0.0.1");
    const head = `POST /v1/ingest HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${RECORDS.length + 1}\r\n\r\n`;
    const busy = connect(running.server.httpAddress().port, "127.0.0.1");
    let answer = "";
    busy.on("data", (chunk) => (answer += String(chunk)));
    busy.write(`${head}[`);
    await waitFor(() => running.server.status().unfinishedBytes === 1, {
      description: "in flight",
    });
    const closing = running.server.close({ graceMs: 5_000 });
    busy.write(RECORDS.slice(1));
    await closing;
    await waitFor(() => answer.includes("\r\n\r\n{}"), { description: "answer" });
    expect(answer).toMatch(/^HTTP\/1.1 202/);
    expect(running.stored().map(({ payload }) => String(payload))).toEqual([RECORDS]);
    idle.destroy();
  });

  it("mirrors what it stored, envelopes too", async () => {
    const upstream = await runServer({ tokens });
    const { port } = upstream.address;
    const mirror = [{ name: "other", host: "127.0.0.1", port, timeoutMs: 5_000 }];
    const running = await runServer({ http, tokens, mirror });
    await post(running);
    await post(running, { body: '{"t":"log"}' });
    await waitFor(() => upstream.server.status().payloads === 2, { description: "copies" });
    expect(upstream.stored()).toEqual(running.stored());
  });

  it("is off unless asked for", async () => {
    const running = await runServer();
    expect(() => running.server.httpAddress()).toThrow("set http");
    expect(await sendAsOfficialClient(running.address, "[]")).toBe("2:OK");
  });
});

describe("POST /v1/logs and /v1/traces", () => {
  it("mirrors the content type and answers with an empty response message", async () => {
    const running = await runServer({ http, tokens });
    const proto = await post(running, {
      path: "/v1/logs",
      body: new Uint8Array([0x0a, 0x00]),
      headers: { "content-type": "application/x-protobuf" },
    });
    expect([proto.status, proto.headers["content-type"], proto.text]).toEqual([
      200,
      "application/x-protobuf",
      "",
    ]);
    const json = await post(running, { path: "/v1/traces", body: "{}" });
    expect([json.status, json.headers["content-type"], json.text]).toEqual([
      200,
      "application/json",
      "{}",
    ]);
    const kinds = running.stored().map(({ payload }) => openPayload(payload).kind);
    expect(kinds).toEqual(["otlp-logs-proto", "otlp-traces-json"]);
  });

  it("describes errors as a Status of the same encoding", async () => {
    const running = await runServer({ http, tokens });
    const wrong = { path: "/v1/logs", body: "x" } as const;
    const json = await post(running, wrong);
    expect([json.status, Object.keys(JSON.parse(json.text) as object)]).toEqual([400, ["message"]]);
    const proto = await post(running, {
      ...wrong,
      headers: { "content-type": "application/x-protobuf", authorization: "Bearer no" },
    });
    expect([proto.status, proto.headers["content-type"]]).toEqual([401, "application/x-protobuf"]);
    expect(proto.text).toContain("token");
  });
});

/** Sends and waits for the other end to close. */
function converse({ server }: RunningServer, text: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(server.httpAddress().port, "127.0.0.1", () => socket.write(text));
    let answer = "";
    socket.on("data", (chunk) => (answer += String(chunk)));
    socket.on("error", () => {});
    socket.on("close", () => resolve(answer));
  });
}
