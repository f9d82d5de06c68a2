import { waitFor } from "@millrace/core/testing";
import { expect, test } from "vitest";
import { execArgv, fixture } from "../fixtures/fixture.ts";
import { freePorts } from "../fixtures/free-ports.ts";
import { isRunning, pidsOf, startSupervisor } from "../fixtures/start-supervisor.ts";

test("workers of a cluster share a port that they open themselves, and are replaced without a failed request", async () => {
  const port = await freePorts(1);
  const supervisor = await startSupervisor({
    env: { PATH: process.env["PATH"], NODE_COMPILE_CACHE: process.env["NODE_COMPILE_CACHE"] },
    processes: {
      web: {
        module: fixture("http-server.ts"),
        execArgv,
        scale: 2,
        listen: { port, cluster: true },
        env: { RELEASE: "1" },
        health: { readiness: { type: "ipc" } },
      },
    },
  });
  await supervisor.whenReady();
  const before = pidsOf(supervisor, "web");
  const answeredBy = new Set<string>();
  const ask = async (): Promise<void> => {
    const headers = { Connection: "close" };
    const response = await fetch(`http://127.0.0.1:${port}/`, { headers });
    answeredBy.add((await response.text()).split(" ")[0] ?? "");
  };
  await waitFor(async () => {
    await Promise.all(Array.from({ length: 50 }, ask));
    return answeredBy.size === 2;
  });
  const rolling = supervisor.restart("web");
  while (rolling.status().endedAt === undefined) await ask();
  expect((await rolling.done).state).toBe("succeeded");
  for (const [name, pid] of Object.entries(pidsOf(supervisor, "web"))) {
    expect(pid).not.toBe(before[name]);
    expect(isRunning(Number(before[name]))).toBe(false);
  }
  const victim = Number(pidsOf(supervisor, "web")["web-1"]);
  process.kill(victim, "SIGKILL");
  await waitFor(() => supervisor.process("web").counts.ready === 2 && !isRunning(victim));
  await ask();
  await supervisor.scale("web", 0).done;
  await expect(ask()).rejects.toThrow("fetch failed");
});
