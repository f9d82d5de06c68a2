import { createServer } from "node:net";
import { createMemoryLogger } from "@millrace/core/testing";
import { expect, test } from "vitest";
import { sharedListener } from "../../src/child/shared-listener.ts";
import { execArgv, fixture } from "../fixtures/fixture.ts";
import { startSupervisor } from "../fixtures/start-supervisor.ts";

test("a process may bind its port once per instance, and is told what that costs", async () => {
  const probe = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => {
    probe.once("listening", resolve);
  });
  const address = probe.address();
  const port = typeof address === "object" ? (address?.port ?? 0) : 0;
  await new Promise((resolve) => {
    probe.close(resolve);
  });
  const logger = createMemoryLogger();
  const supervisor = await startSupervisor({
    logger,
    processes: {
      web: {
        module: fixture("http-server.ts"),
        execArgv,
        scale: 2,
        listen: { port, reusePort: true },
        health: { readiness: { type: "ipc" } },
      },
    },
  });
  await supervisor.whenReady();
  expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(200);
  const warnings = logger.lines.filter(({ level }) => level === "warn");
  expect(warnings.map(({ message }) => message).join()).toContain("reusePort");
});

test.each([
  [{ MILLRACE_LISTEN_FD: "3" }, { fd: 3 }],
  [{}, undefined],
  [{ MILLRACE_LISTEN_FD: "1" }, undefined],
  [
    { MILLRACE_REUSE_PORT: "1", PORT: "8080", MILLRACE_LISTEN_HOST: "0.0.0.0" },
    { port: 8080, host: "0.0.0.0", reusePort: true },
  ],
])("with %o a child listens on %o", (env, expected) => {
  expect(sharedListener(env)).toEqual(expected);
});
