import type { AddressInfo } from "node:net";
import { createServer } from "node:tls";
import { waitFor } from "@millrace/core/testing";
import { selfSigned } from "@millrace/services";
import { expect, it, onTestFinished } from "vitest";
import { numbered, runClient } from "./running-client.ts";

/** Answers every chunk with one reply; the client sends one small frame at a time. */
async function runTlsServer(options: { cert: string; key: string; ca?: string }) {
  let received = "";
  const server = createServer(
    { ...options, requestCert: options.ca !== undefined, rejectUnauthorized: true },
    (socket) => {
      socket.on("error", () => {});
      socket.on("data", (chunk: Buffer) => {
        received += chunk.toString();
        if (received.endsWith("]")) socket.write("2:OK");
      });
    },
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, received: () => received };
}

it("speaks mutual TLS with the options of node:tls", async () => {
  const own = selfSigned();
  const theirs = selfSigned();
  const server = await runTlsServer({ ...theirs, ca: own.cert });
  const { client } = await runClient({ port: server.port, tls: { ...own, ca: theirs.cert } });
  client.send({ n: 1 });
  expect(await client.flush()).toBe(true);
  expect(server.received()).toBe('20:v1:ed2b0d3:[{"n":1}]');
});

it("does not deliver to a server whose certificate it does not know", async () => {
  const server = await runTlsServer(selfSigned());
  const { client } = await runClient({ port: server.port, tls: true });
  client.send(numbered(1));
  await waitFor(() => client.health().reason?.includes("self-signed certificate"));
  expect(server.received()).toBe("");
});

it("tls options that cannot be used show in health and never throw", async () => {
  const { client } = await runClient({ port: 1, tls: { cert: "nonsense" } });
  client.send(numbered(1));
  await waitFor(() => client.health().reason?.includes("cannot deliver"));
  expect(client.status().bufferedRecords).toBe(1);
});
