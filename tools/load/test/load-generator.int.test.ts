import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { type LoadGenerator, startLoadGenerator } from "../src/load-generator.ts";
import { hashToken } from "../src/frame.ts";

const HEADER = /^(\d+):v1:([0-9a-f]{7}):/;

let server: Server | undefined;
let generator: LoadGenerator | undefined;

afterEach(async () => {
  await generator?.close();
  server?.close();
});

/** Answers every frame and keeps its payload. */
async function listenWith(reply: string) {
  const payloads: string[] = [];
  const hashes = new Set<string>();
  server = createServer((socket) => {
    let text = "";
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      for (let header = HEADER.exec(text); header !== null; header = HEADER.exec(text)) {
        const end = text.indexOf(":") + 1 + Number(header[1]);
        if (text.length < end) return;
        payloads.push(text.slice(header[0].length, end));
        hashes.add(header[2] ?? "");
        text = text.slice(end);
        socket.write(reply);
      }
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return { port, payloads, hashes };
}

const clients = [
  { client: { kind: "one-shot" }, connections: 4 },
  { client: { kind: "pipelined", window: 8 }, connections: 2 },
] as const;

describe.each(clients)("a $client.kind load", ({ client, connections }) => {
  const load = { host: "127.0.0.1", token: "secret", run: "test", seconds: 0.3 };

  it("sends frames of one record of some 800 bytes, each with a mark of its own", async () => {
    const { port, payloads, hashes } = await listenWith("2:OK");
    generator = startLoadGenerator();
    const result = await generator.run({ ...load, port, client, connections });

    expect(result.acknowledged).toBeGreaterThan(connections);
    expect(result).toMatchObject({
      sent: payloads.length,
      acknowledged: payloads.length,
      refused: 0,
      unanswered: 0,
    });
    expect(result.latencyMs.p99).toBeGreaterThanOrEqual(result.latencyMs.p50);
    expect([...hashes]).toEqual([await hashToken("secret")]);
    const marks = payloads.map((payload) => {
      const records = JSON.parse(payload) as Array<{ deploy: string; trace_id: string }>;
      expect(records).toHaveLength(1);
      expect(payload.length).toBeGreaterThan(600);
      expect(payload.length).toBeLessThan(1_300);
      expect(records[0]?.trace_id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-/);
      return records[0]?.deploy;
    });
    expect(new Set(marks).size).toBe(payloads.length);
    expect(marks.every((mark) => /^test-\d{9}$/.test(mark ?? ""))).toBe(true);
  });

  it("counts what is refused apart from what is acknowledged", async () => {
    const { port } = await listenWith("5:ERROR");
    generator = startLoadGenerator();
    const result = await generator.run({ ...load, port, client, connections });

    expect(result.acknowledged).toBe(0);
    expect(result.refused).toBeGreaterThan(0);
    expect(result.refused + result.unanswered).toBe(result.sent);
  });
});

it("a pipelined load with a rate sends no more than that, and gets an answer to each", async () => {
  const { port, payloads } = await listenWith("2:OK");
  generator = startLoadGenerator();
  const result = await generator.run({
    host: "127.0.0.1",
    token: "secret",
    run: "test",
    port,
    client: { kind: "pipelined", window: 64, ratePerSecond: 400 },
    connections: 2,
    seconds: 0.5,
  });

  expect(result).toMatchObject({ sent: payloads.length, refused: 0, unanswered: 0 });
  expect(result.acknowledged).toBeGreaterThan(0);
  expect(result.acknowledged).toBeLessThanOrEqual(200);
});
