import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer } from "node:tls";
import { waitFor } from "@millrace/core/testing";
import { expect, it, onTestFinished } from "vitest";
import { numbered, runClient } from "./running-client.ts";

function selfSigned(): { cert: string; key: string } {
  const folder = mkdtempSync(join(tmpdir(), "millrace-tls-"));
  try {
    const curve = "-pkeyopt ec_paramgen_curve:prime256v1";
    const subject = "-subj /CN=localhost -addext subjectAltName=IP:127.0.0.1";
    execFileSync(
      "openssl",
      `req -x509 -nodes -newkey ec ${curve} -days 2 ${subject} -keyout key.pem -out cert.pem`.split(
        " ",
      ),
      { cwd: folder, stdio: "pipe" },
    );
    return {
      cert: readFileSync(join(folder, "cert.pem"), "utf8"),
      key: readFileSync(join(folder, "key.pem"), "utf8"),
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

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
