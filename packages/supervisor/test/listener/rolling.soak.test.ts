import { Agent, request } from "node:http";
import { waitFor } from "@millrace/core/testing";
import { expect, onTestFinished, test } from "vitest";
import { startSupervisor } from "../fixtures/start-supervisor.ts";
import { webProcess } from "../fixtures/web-process.ts";

// MILLRACE_SOAK=1 asks for the numbers of the specification.
const FULL = Number(process.env["MILLRACE_SOAK"] ?? 0) > 0;
const REQUESTS = FULL ? 40_000 : 4_000;
const ROLLS = FULL ? 20 : 2;
const PER_SECOND = 500;

test(`none of ${REQUESTS} requests fails while three busy servers are replaced ${ROLLS} times`, async () => {
  const supervisor = await startSupervisor({
    processes: {
      web: webProcess({
        scale: 3,
        env: { BUSY_AT_DRAIN_MS: "150", DELAY_MS: "30" },
      }),
    },
  });
  await supervisor.whenReady();
  const port = Number(supervisor.process("web").port);
  const kept = new Agent({ keepAlive: true });
  onTestFinished(() => kept.destroy());
  const failures: string[] = [];
  let sent = 0;
  let ended = 0;
  const send = (agent: Agent | false): void => {
    sent++;
    request({ host: "127.0.0.1", port, agent }, (response) => {
      response.resume();
      response.once("end", () => {
        ended++;
        if (response.statusCode !== 200) failures.push(`status ${response.statusCode}`);
      });
    })
      .once("error", (error: NodeJS.ErrnoException) => {
        ended++;
        failures.push(error.code ?? error.message);
      })
      .end();
  };
  const startedAt = performance.now();
  let due = 0;
  // As many as the clock says, half of them on kept connections, however late the timer is.
  const timer = setInterval(() => {
    const wanted = Math.min(REQUESTS, ((performance.now() - startedAt) / 1_000) * PER_SECOND * 2);
    for (; due < wanted; due++) send(due % 2 === 0 ? kept : false);
  }, 5);
  onTestFinished(() => clearInterval(timer));
  let rolled = 0;
  while (rolled < ROLLS || sent < REQUESTS) {
    expect((await supervisor.restart("web").done).state).toBe("succeeded");
    rolled++;
  }
  await waitFor(() => ended === sent, { timeoutMs: 30_000 });
  expect(failures).toEqual([]);
  expect(sent).toBeGreaterThanOrEqual(REQUESTS);
  expect(rolled).toBeGreaterThanOrEqual(ROLLS);
});
