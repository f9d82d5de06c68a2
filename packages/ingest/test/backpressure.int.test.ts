import { createPressure } from "@millrace/core";
import { ClaimSession, type DurableBuffer } from "@millrace/core/buffer";
import { createMemoryLogger, waitFor } from "@millrace/core/testing";
import { Registry } from "prom-client";
import { describe, expect, it } from "vitest";
import { frame, sendAsOfficialClient, TestClient } from "./support/client.ts";
import { runServer } from "./support/running-server.ts";

describe("a full buffer", () => {
  it("that rejects makes 5:ERROR, after the answers to what still fitted", async () => {
    const running = await runServer({}, { maxRows: 5 });
    const client = await TestClient.open(running.address);
    client.send(Buffer.concat(Array.from({ length: 8 }, (_, index) => frame(`[${index}]`))));
    await client.expectEnd(`${"2:OK".repeat(5)}5:ERROR`);
    expect(await sendAsOfficialClient(running.address, "[9]")).toBe("5:ER");
    expect(await sendAsOfficialClient(running.address, "PING")).toBe("2:OK");
    expect(running.stored()).toHaveLength(5);
    expect(running.server.status().refusals.buffer_full).toBe(2);
  });

  it("that blocks holds frames and stops reading until there is room; nothing is lost", async () => {
    const running = await runServer(
      { limits: { headerTimeoutMs: 100, frameTimeoutMs: 100, idleTimeoutMs: 100 } },
      { maxRows: 5, whenFull: "block" },
    );
    const client = await TestClient.open(running.address);
    const body = "x".repeat(100_000);
    for (let index = 0; index < 200; index++) client.send(frame(`[${index},"${body}"]`));
    await client.expect("2:OK".repeat(5));
    await waitFor(() => client.socket.writableLength > 1_000_000, {
      description: "the server to stop reading",
    });
    expect(running.server.status().unfinishedBytes).toBeLessThan(1_000_000);
    const stopDraining = startDraining(running.buffer, running.path);
    await client.expect("2:OK".repeat(200));
    stopDraining();
    expect(running.buffer.status().appendedRows).toBe(200);
    expect(running.server.status().refusals).toMatchObject({ buffer_full: 0, frame_timeout: 0 });
    client.socket.destroy();
  });
});

describe("pressure", () => {
  it("that is closed refuses payloads, answers pings, and passes", async () => {
    const { address, server, set } = await runUnderPressure("reject");
    set(1);
    expect(await sendAsOfficialClient(address, "[1]")).toBe("5:ER");
    expect(await sendAsOfficialClient(address, "PING")).toBe("2:OK");
    set(0);
    expect(await sendAsOfficialClient(address, "[1]")).toBe("2:OK");
    expect(server.status().refusals.overload).toBe(1);
  });

  it("that is closed makes connections wait when the buffer is one that blocks", async () => {
    const { address, server, set } = await runUnderPressure("block");
    set(1);
    const clients = await Promise.all([TestClient.open(address), TestClient.open(address)]);
    for (const client of clients) client.send(frame("[1]"), frame("PING"));
    const late = await TestClient.open(address);
    await waitFor(() => server.status().openConnections === 3);
    expect(clients.map(({ received }) => received)).toEqual(["", ""]);
    set(0);
    for (const client of clients) await client.expect("2:OK2:OK");
    late.send(frame("[2]"));
    await late.expect("2:OK");
    for (const client of [...clients, late]) client.socket.destroy();
  });
});

/** A server with backpressure whose utilisation the test sets. */
async function runUnderPressure(whenFull: "reject" | "block") {
  let utilisation = 0;
  const pressure = createPressure({
    sources: [{ name: "test", utilisation: () => utilisation }],
    logger: createMemoryLogger(),
    metrics: new Registry(),
  });
  const running = await runServer({ pressure }, { whenFull });
  const set = (next: number) => {
    utilisation = next;
    pressure.sample();
  };
  return { ...running, set };
}

/** Claims and settles rows as a drain does, until the returned function is called. */
function startDraining(buffer: DurableBuffer, path: string): () => void {
  const owner = buffer.registerOwner();
  const session = new ClaimSession({ path, owner: owner.owner, worker: 0, durability: "process" });
  const timer = setInterval(() => {
    const batch = session.claim({ maxRows: 100, maxBytes: 100_000_000 });
    if (batch !== undefined) session.settle(batch.batchId);
  }, 5);
  return () => {
    clearInterval(timer);
    session.close();
    owner.release();
  };
}
