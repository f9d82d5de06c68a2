import { type AddressInfo, connect, createServer } from "node:net";
import { waitFor } from "@millrace/core/testing";
import { describe, expect, onTestFinished, test } from "vitest";
import { readSocketTable, socketLoad } from "../../src/listener/socket-table.ts";
import { execArgv, fixture } from "../fixtures/fixture.ts";
import { isRunning, startSupervisor } from "../fixtures/start-supervisor.ts";

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
      const answers = await Promise.all([ask(port), ask(port), ask(port)]);
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

test("a socket table tells connections that wait from those that are open", async () => {
  const server = createServer({ pauseOnConnect: true }).listen(0, "127.0.0.1");
  onTestFinished(() => void server.close());
  await waitFor(() => server.listening);
  const { port } = server.address() as AddressInfo;
  const socket = connect({ host: "127.0.0.1", port });
  onTestFinished(() => void socket.destroy());
  await waitFor(() => socket.readyState === "open");
  const table = readSocketTable() ?? "";
  expect(socketLoad(table, "0", port)).toEqual({ waiting: 0, open: 1 });
  expect(socketLoad(table, "0", 1)).toEqual({ waiting: 0, open: 0 });
});
