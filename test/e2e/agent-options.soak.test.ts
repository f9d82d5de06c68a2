import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { waitFor } from "@millrace/core/testing";
import { encodeFrame, hashToken } from "@millrace/load";
import { freePort } from "@millrace/services";
import { Client } from "pg";
import { expect, onTestFinished, test } from "vitest";
import { createTestDatabase } from "../setup/database.ts";
import { AgentProcess } from "./agent-process.ts";

const TOKEN = "options-token";
const NOW_SECONDS = Math.floor(Date.now() / 1_000);

/** An HTTP server that takes whatever comes, and the paths that did. */
async function channelReceiver() {
  const paths = new Set<string>();
  const server = createServer((request, response) => {
    paths.add(request.url ?? "");
    request.resume().on("end", () => response.writeHead(204).end());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { paths, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

/** Where mail would be handed in: it only shows that somebody came. */
async function mailbox() {
  let calls = 0;
  const server = createTcpServer((socket) => {
    calls++;
    socket.on("error", () => {});
    socket.end("421 not today\r\n");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return { port: (server.address() as AddressInfo).port, calls: () => calls };
}

test("one agent takes HTTP, OTLP and datagrams and alerts by every channel, all by environment", async () => {
  const database = await createTestDatabase();
  const receiver = await channelReceiver();
  const mail = await mailbox();
  const [httpPort, udpPort] = [await freePort(), await freePort()];
  const agent = await AgentProcess.create({
    databaseUrl: database.url,
    token: TOKEN,
    env: {
      MILLRACE_INGEST_HTTP: "true",
      MILLRACE_INGEST_HTTP_PORT: String(httpPort),
      MILLRACE_INGEST_UDP: "on",
      MILLRACE_INGEST_UDP_PORT: String(udpPort),
      MILLRACE_OTLP: "1",
      MILLRACE_ALERTS_WEBHOOK_URL: `${receiver.url}/webhook`,
      MILLRACE_ALERTS_WEBHOOK_SECRET: "a-secret-of-24-bytes-or-more",
      MILLRACE_ALERTS_SLACK_WEBHOOK_URL: `${receiver.url}/slack`,
      MILLRACE_ALERTS_DISCORD_WEBHOOK_URL: `${receiver.url}/discord`,
      MILLRACE_ALERTS_EMAIL_HOST: "127.0.0.1",
      MILLRACE_ALERTS_EMAIL_PORT: String(mail.port),
      MILLRACE_ALERTS_EMAIL_TLS: "none",
      MILLRACE_ALERTS_EMAIL_FROM: "agent@example.com",
      MILLRACE_ALERTS_EMAIL_TO: "one@example.com,two@example.com",
    },
  });
  onTestFinished(async () => {
    await agent.remove();
    await database.drop();
  });
  await agent.start();

  const post = async (path: string, body: unknown) => {
    const response = await fetch(`http://127.0.0.1:${httpPort}${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    return response.status;
  };
  const log = { v: 1, t: "log", timestamp: NOW_SECONDS, level: "info", message: "by HTTP" };
  expect(await post("/v1/ingest", [log])).toBe(202);
  const otlpLog = { timeUnixNano: `${NOW_SECONDS}000000000`, body: { stringValue: "by OTLP" } };
  expect(
    await post("/v1/logs", { resourceLogs: [{ scopeLogs: [{ logRecords: [otlpLog] }] }] }),
  ).toBe(200);
  const exception = { v: 1, t: "exception", timestamp: NOW_SECONDS, _group: "boom", class: "Boom" };
  expect(await post("/v1/ingest", [exception])).toBe(202);
  const socket = createSocket("udp4");
  const frame = encodeFrame(
    JSON.stringify([{ ...log, message: "by UDP" }]),
    await hashToken(TOKEN),
  );
  await new Promise((resolve) => socket.send(frame, udpPort, "127.0.0.1", resolve));
  socket.close();

  const client = new Client({ connectionString: database.url });
  await client.connect();
  const landed = async () => {
    const { rows } = await client.query<{ said: string }>(
      `SELECT message AS said FROM nightwatch_logs UNION ALL SELECT body #>> '{}' FROM otel_logs ORDER BY 1`,
    );
    return rows.map(({ said }) => said);
  };
  const all = ["by HTTP", "by OTLP", "by UDP"];
  await waitFor(async () => (await landed()).length >= all.length, { timeoutMs: 20_000 });
  expect(await landed()).toEqual(all);
  await client.end();
  await waitFor(() => receiver.paths.size === 3 && mail.calls() > 0, {
    timeoutMs: 20_000,
    description: "an alert in each channel",
  });
  expect([...receiver.paths].toSorted()).toEqual(["/discord", "/slack", "/webhook"]);
  expect(await agent.stop()).toBe(0);
});

test("an agent whose environment is wrong names every variable, and no secret", async () => {
  const agent = await AgentProcess.create({
    databaseUrl: "postgres://127.0.0.1/x",
    token: TOKEN,
    env: {
      MILLRACE_INGEST_HTTP: "perhaps",
      MILLRACE_ALERTS_WEBHOOK_SECRET: "only-half-of-a-webhook-is-set",
      MILLRACE_ALERTS_EMAIL_HOST: "127.0.0.1",
    },
  });
  onTestFinished(() => agent.remove());
  await expect(agent.start()).rejects.toThrow("the agent ended (1)");
  const said = agent.lines.join("\n");
  for (const name of [
    "INGEST_HTTP",
    "ALERTS_WEBHOOK_URL",
    "ALERTS_EMAIL_FROM",
    "ALERTS_EMAIL_TO",
  ]) {
    expect(said).toContain(`MILLRACE_${name}:`);
  }
  expect(said).not.toContain("only-half");
});
