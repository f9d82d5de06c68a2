import { execFile } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createBuffer } from "@millrace/core/buffer";
import { createMemoryLogger, waitFor } from "@millrace/core/testing";
import { createIngestServer } from "@millrace/ingest";
import { Registry } from "prom-client";
import { describe, expect, it } from "vitest";
import { frame, sendAsOfficialClient, TestClient } from "./support/client.ts";
import { runServer } from "./support/running-server.ts";
import { temporaryFolder } from "./support/temporary-folder.ts";

describe("start", () => {
  it("twice, or after close, is an illegal state; close twice is the same promise", async () => {
    const { server } = await runServer();
    await expect(server.start()).rejects.toThrowError(/cannot start: it is running/);
    const closing = server.close();
    expect(server.close()).toBe(closing);
    await closing;
    expect(server.state).toBe("closed");
    expect(await server.closed).toBeUndefined();
    await expect(server.start()).rejects.toThrowError(/cannot start: it is closed/);
    await server[Symbol.asyncDispose]();
  });

  it("names the port that is taken and the way out", async () => {
    const { buffer, address } = await runServer();
    const second = createIngestServer({
      buffer,
      port: address.port,
      logger: createMemoryLogger(),
      metrics: new Registry(),
    });
    await expect(second.start()).rejects.toMatchObject({
      code: "INGEST_LISTEN_FAILED",
      message: expect.stringMatching(new RegExp(`127.0.0.1:${address.port}.*set another port`)),
    });
    expect(second.state).toBe("failed");
  });

  it("refuses a host that is not of this machine", async () => {
    const server = createIngestServer({
      buffer: createBuffer({ path: "never-started.db" }),
      host: "192.0.2.1",
      port: 0,
      logger: createMemoryLogger(),
      metrics: new Registry(),
    });
    expect(() => server.address()).toThrowError(/start it first/);
    await expect(server.start()).rejects.toMatchObject({
      message: expect.stringContaining("set host to an address of this machine"),
    });
  });

  it("aborted while under way opens nothing", async () => {
    const { buffer } = await runServer();
    const server = createIngestServer({
      buffer,
      port: 0,
      logger: createMemoryLogger(),
      metrics: new Registry(),
    });
    const abort = new AbortController();
    const starting = server.start({ signal: abort.signal });
    abort.abort();
    await expect(starting).rejects.toMatchObject({ code: "START_ABORTED" });
    expect(server.state).toBe("failed");
  });
});

describe("close", () => {
  it("answers frames in hand, ends idle connections, then takes no more", async () => {
    const running = await runServer();
    const { server, address } = running;
    const idle = await TestClient.open(address);
    const busy = await TestClient.open(address);
    const payload = frame(`["${"x".repeat(200_000)}"]`);
    busy.send(payload.subarray(0, 100_000));
    await waitFor(() => server.status().unfinishedBytes > 0);
    const closing = server.close({ graceMs: 10_000 });
    await idle.expectEnd("");
    expect(server.state).toBe("draining");
    busy.send(payload.subarray(100_000));
    await busy.expectEnd("2:OK");
    await closing;
    expect(running.stored()).toHaveLength(1);
    await expect(sendAsOfficialClient(address, "[1]")).rejects.toThrowError(/ECONNREFUSED/);
  });

  it("cuts off what is still in mid-frame when the grace period is over", async () => {
    const { server, address } = await runServer();
    const stuck = await TestClient.open(address);
    stuck.send("1000:v1:ed2b0d3:[");
    await waitFor(() => server.status().openConnections === 1);
    await server.close({ graceMs: 100 });
    await waitFor(() => stuck.isClosed || stuck.hasEnded);
    expect(server.status()).toMatchObject({ openConnections: 0, unfinishedBytes: 0 });
    stuck.socket.destroy();
  });

  it("acknowledges nothing that it has not stored while clients keep sending", async () => {
    const running = await runServer();
    let acknowledged = 0;
    const senders = Array.from({ length: 8 }, async () => {
      try {
        for (;;) {
          if ((await sendAsOfficialClient(running.address, "[1]")) === "2:OK") acknowledged++;
          else if (running.server.state !== "running") return;
        }
      } catch {
        // Refused or reset: the server has gone.
      }
    });
    await waitFor(() => acknowledged > 100);
    await running.server.close();
    await Promise.all(senders);
    expect(running.stored().length).toBeGreaterThanOrEqual(acknowledged);
  });

  it("leaves no socket and no timer behind: the process ends by itself", async () => {
    const folder = temporaryFolder();
    const fixture = fileURLToPath(new URL("fixtures/serves-one-payload.ts", import.meta.url));
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ["--conditions=@millrace/source", fixture, join(folder, "buffer.db")],
      { timeout: 20_000 },
    );
    const { reply, left } = JSON.parse(stdout) as { reply: string; left: string[] };
    expect(reply).toBe("2:OK");
    // Pipes are the standard streams of the child.
    expect(left.filter((name) => name !== "PipeWrap")).toEqual([]);
  });

  it("withdraws its metrics", async () => {
    const metrics = new Registry();
    const { server, address, buffer } = await runServer({ metrics });
    expect(await sendAsOfficialClient(address, "[1]")).toBe("2:OK");
    const text = await metrics.metrics();
    expect(text).toContain('millrace_ingest_payloads_total{token="default"} 1');
    expect(text).toContain("millrace_ingest_connections_total 1");
    await server.close();
    await buffer.close();
    expect(await metrics.metrics()).not.toContain("millrace_ingest");
  });
});

it("a closed buffer refuses payloads instead of losing them", async () => {
  const { address, buffer, server } = await runServer();
  await buffer.close();
  expect(await sendAsOfficialClient(address, "[1]")).toBe("5:ER");
  expect(server.status().refusals.buffer_closed).toBe(1);
});
