import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { waitFor } from "@millrace/core/testing";
import { describe, expect, onTestFinished, test } from "vitest";
import { AcceptQueue } from "../../src/listener/accept-queue.ts";
import { countOpenConnections } from "../../src/listener/open-connections.ts";
import { SharedListener } from "../../src/listener/shared-listener.ts";
import { execArgv, fixture } from "../fixtures/fixture.ts";
import { isRunning, startSupervisor } from "../fixtures/start-supervisor.ts";
import { prepare } from "../simulation/simulate.ts";

function ask(port: number): Promise<string> {
  return fetch(`http://127.0.0.1:${port}/`, { headers: { Connection: "close" } }).then((response) =>
    response.text(),
  );
}

describe("listen.onDemand", () => {
  test("the first connection starts an instance and is served by it; idle it goes to zero, and again", async () => {
    const supervisor = await startSupervisor({
      processes: {
        web: {
          module: fixture("http-server.ts"),
          execArgv,
          scale: 0,
          maxScale: 1,
          listen: { port: 0, onDemand: { idleMs: 300 } },
          health: { readiness: { type: "ipc" } },
        },
      },
    });
    const scaled: string[] = [];
    supervisor.on("process:scaled", ({ from, to, reason }) =>
      scaled.push(`${from}-${to} ${reason}`),
    );
    const port = Number(supervisor.process("web").port);
    for (let round = 0; round < 2; round++) {
      expect(supervisor.process("web").instances).toEqual([]);
      // All of them wait for the first instance, and none fails.
      const answers = await Promise.all(Array.from({ length: 30 }, () => ask(port)));
      for (const answer of answers) expect(answer).toMatch(/^web-1 \d+ \/$/);
      expect(new Set(answers).size).toBe(1);
      const pid = Number(answers[0]?.split(" ")[1]);
      await waitFor(() => !isRunning(pid) && supervisor.process("web").instances.length === 0);
    }
    expect(scaled).toEqual(["0-1 connection", "1-0 idle", "0-1 connection", "1-0 idle"]);
  });

  test("what a person has stopped stays down, whoever knocks", async () => {
    const supervisor = await startSupervisor({
      processes: {
        web: { command: ["sleep", "1000"], scale: 0, listen: { port: 0, onDemand: true } },
      },
    });
    await supervisor.stopProcess("web").done;
    const socket = connect({ host: "127.0.0.1", port: Number(supervisor.process("web").port) });
    onTestFinished(() => void socket.destroy());
    await waitFor(() => socket.readyState === "open");
    const lookedUntil = performance.now() + 100;
    await waitFor(() => performance.now() > lookedUntil);
    expect(supervisor.process("web").desired).toBe(0);
    await supervisor.startProcess("web").done;
    expect(supervisor.process("web").scale).toBe(1);
  });
});

test("a connection to a process at zero has an instance started for it within 20 ms", async () => {
  // Real sockets, on a clock that nothing makes late.
  const { host, supervisor, close } = prepare({
    web: { command: ["web"], scale: 0, listen: { port: 0, onDemand: true } },
  });
  await supervisor.start();
  await host.clock.advance(60_000);
  expect(host.launched).toEqual([]);
  const client = connect({ host: "127.0.0.1", port: Number(supervisor.process("web").port) });
  client.on("error", () => {});
  onTestFinished(() => void client.destroy());
  await waitFor(() => client.readyState === "open");
  const connectedAtMs = host.clock.monotonicMs();
  await host.clock.advance(20);
  expect(host.launched).toHaveLength(1);
  expect((host.launched[0]?.startedMonotonicMs ?? 0) - connectedAtMs).toBeLessThanOrEqual(20);
  expect(await close()).toEqual([]);
});

async function listening(): Promise<{ server: Server; port: number }> {
  const server = createServer((socket) => void socket.on("error", () => {}));
  server.listen({ port: 0, host: "127.0.0.1", backlog: 4_096 });
  onTestFinished(() => void server.close());
  await waitFor(() => server.listening);
  return { server, port: (server.address() as AddressInfo).port };
}

async function connections(port: number, count: number): Promise<void> {
  const sockets = Array.from({ length: count }, () => connect({ host: "127.0.0.1", port }));
  // Reset: what lingers would be in the tables that other tests read.
  const end = (socket: Socket): void => void socket.on("error", () => {}).resetAndDestroy();
  onTestFinished(() => sockets.forEach(end));
  await waitFor(() => sockets.every(({ readyState }) => readyState === "open"));
}

test("among thousands of other connections those that wait and those that are open are counted exactly", async () => {
  const listener = await SharedListener.open({ host: "127.0.0.1", port: 0, backlog: 511 });
  onTestFinished(() => listener.close());
  const queue = AcceptQueue.of(listener.fd);
  expect(queue?.waiting()).toBe(0);
  const [crowded, idle] = [await listening(), await listening()];
  await connections(crowded.port, 2_000);
  // The kernel says a line twice, or not at all, where others open and close while it is being read.
  await expect.poll(() => countOpenConnections(crowded.port), { timeout: 10_000 }).toBe(2_000);
  expect(await countOpenConnections(idle.port)).toBe(0);
  await connections(listener.port, 3);
  expect(queue?.waiting()).toBe(3);
  expect(await countOpenConnections(listener.port)).toBe(3);
  queue?.close();
});

test("a socket that listens no more has no accept queue", async () => {
  const listener = await SharedListener.open({ host: "::1", port: 0, backlog: 511 });
  const queue = AcceptQueue.of(listener.fd);
  expect(queue?.waiting()).toBe(0);
  listener.close();
  await waitFor(() => queue?.waiting() === undefined);
  queue?.close();
});
