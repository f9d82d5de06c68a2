import { createSocket } from "node:dgram";
import { waitFor } from "@millrace/core/testing";
import { expect, it, onTestFinished } from "vitest";
import { frame } from "../support/client.ts";
import { runServer, type RunningServer } from "../support/running-server.ts";

async function send({ server }: RunningServer, ...messages: Uint8Array[]): Promise<void> {
  const socket = createSocket("udp4");
  onTestFinished(() => void socket.close());
  for (const message of messages) {
    await new Promise<void>((resolve, reject) => {
      socket.send(message, server.udpAddress().port, "127.0.0.1", (error) =>
        error === null ? resolve() : reject(error),
      );
    });
  }
}

const udp = { port: 0 };

it("stores one frame of each datagram and counts what it does not", async () => {
  const running = await runServer({ udp, tokens: ["secret"] });
  const { server } = running;
  await send(
    running,
    frame("[1]"),
    frame("PING"),
    frame("[2]", "0000000"),
    frame("[3]").subarray(0, 12),
    Buffer.concat([frame("[4]"), frame("[5]")]),
    Buffer.from("nonsense"),
    frame("[6]"),
  );
  await waitFor(() => server.status().payloads === 2, { description: "payloads" });
  expect(running.stored().map(({ payload }) => String(payload))).toEqual(["[1]", "[6]"]);
  expect(server.status()).toMatchObject({
    pings: 1,
    refusals: { token: 1, truncated: 1, bad_header: 2 },
  });
  expect(await running.metrics.metrics()).toContain('{transport="udp"} 2');
});

it("drops datagrams of addresses that are denied, and those that the buffer has no room for", async () => {
  const denied = await runServer({ udp, deny: ["127.0.0.1"] });
  await send(denied, frame("[1]"));
  await waitFor(() => denied.server.status().refusals.address === 1, { description: "refusal" });
  const full = await runServer({ udp }, { maxRows: 1, whenFull: "block" });
  await send(full, frame("[1]"));
  await waitFor(() => full.server.status().payloads === 1, { description: "payload" });
  await send(full, frame("[2]"));
  await waitFor(() => full.server.status().refusals.buffer_full === 1, { description: "refusal" });
  expect(full.stored()).toHaveLength(1);
});

it("says why it cannot bind", async () => {
  const first = await runServer({ udp });
  await expect(runServer({ udp: { port: first.server.udpAddress().port } })).rejects.toMatchObject({
    code: "INGEST_LISTEN_FAILED",
  });
});
