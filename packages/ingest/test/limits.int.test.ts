import { waitFor } from "@millrace/core/testing";
import { describe, expect, it } from "vitest";
import { frame, sendAsOfficialClient, TestClient } from "./support/client.ts";
import { runServer, waitForNoConnections } from "./support/running-server.ts";

describe("timeouts", () => {
  it("a connection that sends nothing is closed without a reply", async () => {
    const running = await runServer({ limits: { headerTimeoutMs: 100 } });
    const client = await TestClient.open(running.address);
    await client.expectEnd("");
    expect(running.server.status().refusals.header_timeout).toBe(1);
  });

  it("a header that drips is refused, also on a later frame", async () => {
    const running = await runServer({ limits: { headerTimeoutMs: 200 } });
    const client = await TestClient.open(running.address);
    client.send(frame("[1]"));
    await client.expect("2:OK");
    client.send("15:v");
    await client.expectEnd("2:OK5:ERROR");
    expect(running.server.status().refusals.header_timeout).toBe(1);
  });

  it("a payload that drips steadily is refused all the same", async () => {
    const running = await runServer({ limits: { frameTimeoutMs: 300 } });
    const client = await TestClient.open(running.address);
    client.send("1000000:v1:ed2b0d3:");
    const drip = setInterval(() => client.send("x"), 10);
    await client.expectEnd("5:ERROR");
    clearInterval(drip);
    expect(running.server.status().refusals.frame_timeout).toBe(1);
  });

  it("a connection idle between frames is closed without a reply", async () => {
    const running = await runServer({ limits: { idleTimeoutMs: 100 } });
    const client = await TestClient.open(running.address);
    client.send(frame("[1]"));
    await client.expectEnd("2:OK");
    expect(running.server.status().refusals.idle_timeout).toBe(1);
    const levels = running.logger.lines
      .filter(({ fields }) => fields["reason"] === "idle_timeout")
      .map(({ level }) => level);
    expect(levels).toEqual(["debug"]);
  });

  it("a client that sends without ever reading its replies is cut off, in bounded memory", async () => {
    const running = await runServer({ limits: { idleTimeoutMs: 300 } });
    const client = await TestClient.open(running.address);
    client.socket.pause();
    const pings = Buffer.concat(Array.from({ length: 5_000 }, () => frame("PING")));
    const send = () => {
      if (!client.isClosed) client.socket.write(pings, () => setImmediate(send));
    };
    send();
    await waitFor(() => running.server.status().refusals.slow_reader === 1, { timeoutMs: 20_000 });
    await waitForNoConnections(running);
    expect(running.server.status().unfinishedBytes).toBe(0);
    client.socket.destroy();
  });
});

describe("limits over all connections", () => {
  it("a connection too many is told so and closed; those that are open go on", async () => {
    const running = await runServer({ limits: { maxConnections: 3 } });
    const open = [];
    for (let count = 0; count < 3; count++) open.push(await TestClient.open(running.address));
    await waitFor(() => running.server.status().openConnections === 3);
    const turnedAway = await Promise.all(
      Array.from({ length: 50 }, () => sendAsOfficialClient(running.address, "[1]")),
    );
    expect(new Set(turnedAway)).toEqual(new Set(["5:ER"]));
    expect(running.server.health()).toMatchObject({ healthy: false });
    for (const client of open) {
      client.send(frame("[2]"));
      await client.expect("2:OK");
    }
    expect(running.server.status().refusals.too_many_connections).toBe(50);
    open[0]?.socket.destroy();
    await waitFor(() => running.server.status().openConnections === 2);
    expect(await sendAsOfficialClient(running.address, "[3]")).toBe("2:OK");
    for (const client of open) client.socket.destroy();
  });

  it("frames whose LENGTH lies share the memory limit; whole frames of others still land", async () => {
    const running = await runServer({
      limits: { maxFrameBytes: 1_000_000, maxUnfinishedBytes: 1_000_000 },
    });
    const greedy = [];
    for (let count = 0; count < 10; count++) {
      const client = await TestClient.open(running.address);
      greedy.push(client.send("900000:v1:ed2b0d3:", Buffer.alloc(400_000)));
    }
    await waitFor(() => running.server.status().refusals.memory >= 1);
    expect(running.server.status().unfinishedBytes).toBeLessThanOrEqual(1_000_000);
    expect(await sendAsOfficialClient(running.address, "[1]")).toBe("2:OK");
    for (const client of greedy) client.socket.destroy();
    await waitFor(() => running.server.status().unfinishedBytes === 0);
  });

  it("2,000 silent connections do not keep eight busy ones from landing everything", async () => {
    const running = await runServer({ limits: { headerTimeoutMs: 60_000 } });
    const silent: TestClient[] = [];
    while (silent.length < 2_000) {
      const opening = Array.from({ length: 100 }, () => TestClient.open(running.address));
      silent.push(...(await Promise.all(opening)));
    }
    await waitFor(() => running.server.status().openConnections === 2_000);
    const replies = await Promise.all(
      Array.from({ length: 8 }, async (_, worker) => {
        const own: string[] = [];
        for (let count = 0; count < 50; count++) {
          own.push(await sendAsOfficialClient(running.address, `[${worker},${count}]`));
        }
        return own;
      }),
    );
    expect(replies.flat()).toEqual(Array.from({ length: 400 }, () => "2:OK"));
    expect(running.stored()).toHaveLength(400);
    for (const client of silent) client.socket.destroy();
    await waitForNoConnections(running);
  });

  it("more frames than may be unanswered wait their turn instead of being refused", async () => {
    const running = await runServer({ limits: { maxPipelinedFrames: 2 } });
    const client = await TestClient.open(running.address);
    client.send(Buffer.concat(Array.from({ length: 500 }, (_, index) => frame(`[${index}]`))));
    await client.expect("2:OK".repeat(500));
    expect(running.buffer.status().commits).toBeGreaterThanOrEqual(250);
    client.socket.destroy();
  });
});
