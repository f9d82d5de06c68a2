import { waitFor } from "@millrace/core/testing";
import { startHaproxy } from "@millrace/services";
import { expect, it, onTestFinished } from "vitest";
import { sendAsOfficialClient } from "./support/client.ts";
import { startServerProcess } from "./support/server-process.ts";

it("behind HAProxy, the death of one of three servers loses nothing acknowledged", async () => {
  const servers = await Promise.all([0, 1, 2].map(() => startServerProcess({ port: 0 })));
  const haproxy = await startHaproxy({
    backends: servers.map(({ port }) => ({ host: "127.0.0.1", port })),
    balance: "leastconn",
  });
  onTestFinished(() => haproxy.stop());
  await waitFor(async () => (await haproxy.stats()).every(({ isUp }) => isUp));

  const acknowledged: string[] = [];
  let isOver = false;
  const clients = Array.from({ length: 8 }, async (_, client) => {
    for (let count = 0; !isOver; count++) {
      const payload = `[${client},${count}]`;
      const reply = await sendAsOfficialClient(haproxy, payload).catch(() => "lost");
      if (reply === "2:OK") acknowledged.push(payload);
    }
  });
  await waitFor(() => acknowledged.length >= 200, { description: "load before the death" });
  await servers[0]?.kill();
  const atDeath = acknowledged.length;
  await waitFor(() => acknowledged.length >= atDeath + 200, { description: "the others' work" });
  await waitFor(async () => (await haproxy.stats())[0]?.isUp === false);
  isOver = true;
  await Promise.all(clients);

  await Promise.all(servers.map((server) => server.kill()));
  const stored = servers.map((server) => server.stored().map(({ payload }) => payload.toString()));
  expect(stored.every((payloads) => payloads.length > 0)).toBe(true);
  const all = new Set(stored.flat());
  expect(acknowledged.filter((payload) => !all.has(payload))).toEqual([]);
});
