import { createServer } from "node:http";
import { writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { waitFor } from "@millrace/core/testing";
import { Cron } from "croner";
import { describe, expect, onTestFinished, test } from "vitest";
import { startSupervisor } from "../fixtures/start-supervisor.ts";
import { temporaryFolder } from "../fixtures/temporary-folder.ts";

const NEVER = "0 0 29 2 *";

describe("schedules", () => {
  test.each([
    ["skip", 1, ["running", "skipped", "skipped", "skipped"]],
    ["parallel", 2, ["running", "running", "skipped", "skipped"]],
    ["queue", 1, ["running", "queued", "queued", "queued"]],
  ] as const)(
    "fired four times with overlap %s, %i run at once",
    async (overlap, most, outcomes) => {
      const supervisor = await startSupervisor({
        processes: {
          job: { command: ["sleep", "0.3"], maxScale: 2, schedule: { cron: NEVER, overlap } },
        },
      });
      let atOnce = 0;
      supervisor.on("instance:changed", () => {
        atOnce = Math.max(atOnce, supervisor.process("job").counts.ready);
      });
      for (let fired = 0; fired < 4; fired++) supervisor.triggerSchedule("job");
      expect(supervisor.schedules()[0]?.state).toBe("running");
      await waitFor(() => supervisor.scheduleHistory("job")[0]?.outcome === "running");
      expect(supervisor.scheduleHistory("job").map(({ outcome }) => outcome)).toEqual(outcomes);
      await waitFor(() => supervisor.schedules()[0]?.state === "idle");
      const ended = supervisor
        .scheduleHistory("job")
        .filter(({ outcome }) => outcome !== "skipped");
      expect(
        ended.every(({ outcome, exitCode }) => outcome === "succeeded" && exitCode === 0),
      ).toBe(true);
      expect(atOnce).toBe(most);
    },
  );

  test("each run is posted to the address of its outcome", async () => {
    const pings: string[] = [];
    const server = createServer((request, response) => {
      pings.push(request.url ?? "");
      request.resume();
      response.end();
    });
    await new Promise<void>((resolve) => {
      server.listen(0, "127.0.0.1", resolve);
    });
    onTestFinished(() => void server.close());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const ping = { startUrl: `${url}/start`, successUrl: `${url}/ok`, failureUrl: `${url}/bad` };
    const supervisor = await startSupervisor({
      processes: {
        good: { command: ["true"], schedule: { cron: NEVER, ping } },
        bad: { command: ["false"], schedule: { cron: NEVER, ping } },
      },
    });
    supervisor.triggerSchedule("good");
    supervisor.triggerSchedule("bad");
    await waitFor(() => pings.length === 4);
    expect(pings.toSorted()).toEqual(["/bad", "/ok", "/start", "/start"]);
  });

  test.each([
    ["of the night before", "0 0 * * *", 86_400_000, ["missed"]],
    ["of too long ago", "0 0 29 2 *", 3_600_000, []],
    ["without catchUpMs", "0 0 * * *", 0, []],
  ])(
    "a time that was missed, %s at %s, may be %i ms late: runs %j",
    async (_, cron, catchUpMs, triggers) => {
      const folder = temporaryFolder();
      const file = join(folder, "state.json");
      const scheduledAtMs = Date.now() - 2 * 86_400_000;
      const remembered = { configured: 0, desired: 0, scheduledAtMs };
      writeFileSync(
        file,
        JSON.stringify({ version: 1, bootId: "x", processes: { job: remembered }, instances: [] }),
      );
      const options = {
        processes: { job: { command: ["true"], schedule: { cron, catchUpMs } } },
        state: { file },
      };
      const first = await startSupervisor(options);
      expect(first.scheduleHistory("job").map(({ trigger }) => trigger)).toEqual(triggers);
      await first.close();
      const second = await startSupervisor(options);
      expect(second.scheduleHistory("job")).toEqual([]);
    },
  );

  test.each([
    // 2:30 doesn't exist on the day that clocks go forward, and exists twice when they go back.
    ["2026-03-28T12:00:00Z", ["2026-03-29T01:00:00.000Z", "2026-03-30T00:30:00.000Z"]],
    ["2026-10-24T12:00:00Z", ["2026-10-25T00:30:00.000Z", "2026-10-26T01:30:00.000Z"]],
  ])("a daily time is kept once a day when clocks change, from %s", (from, runs) => {
    const cron = new Cron("30 2 * * *", { timezone: "Europe/Copenhagen", paused: true });
    expect(cron.nextRuns(2, new Date(from)).map((run) => run.toISOString())).toEqual(runs);
  });
});
