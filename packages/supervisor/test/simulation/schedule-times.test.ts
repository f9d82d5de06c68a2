import { describe, expect, test } from "vitest";
import { prepare, type Simulation } from "./simulate.ts";

const HOUR_MS = 3_600_000;
const PERIOD_MS = 10_000;
const EVERY_PERIOD = "*/10 * * * * *";

async function start(
  schedule: { cron: string; timezone?: string; jitterMs?: number },
  { seed = 1, from = "2026-01-01T00:00:00Z" } = {},
): Promise<Simulation> {
  const simulation = prepare(
    { job: { command: ["job"], schedule } },
    seed,
    // Between two runs of a day there is nothing to look at.
    { sampleIntervalMs: 24 * HOUR_MS },
    Date.parse(from),
  );
  simulation.host.tempers.set("job", "brief");
  const starting = simulation.supervisor.start();
  await simulation.host.clock.advance(1);
  await starting;
  return simulation;
}

function startedAt({ host }: Simulation): string[] {
  return host.launched.map(({ startedAtMs }) => new Date(startedAtMs).toISOString());
}

describe("jitter", () => {
  test.each([1, 2, 3])(
    "puts each run off by a time of its own, below its bound, seed %i",
    async (seed) => {
      const jitterMs = 5_000;
      const simulation = await start({ cron: EVERY_PERIOD, jitterMs }, { seed });
      const runs = 200;
      await simulation.host.clock.advance((runs + 1) * PERIOD_MS);
      const times = simulation.host.launched.map(({ startedAtMs }) => startedAtMs).slice(0, runs);
      const first = Math.floor((times[0] ?? 0) / PERIOD_MS);
      expect(times.map((time) => Math.floor(time / PERIOD_MS) - first)).toEqual([
        ...Array.from({ length: runs }).keys(),
      ]);
      const late = times.map((time) => time % PERIOD_MS).toSorted((left, right) => left - right);
      expect(late.at(-1)).toBeLessThanOrEqual(jitterMs);
      // Spread evenly: in 200 draws no tenth of the time stays empty (chance below 1e-8).
      for (let tenth = 0; tenth < 10; tenth++) {
        const [from, to] = [(tenth * jitterMs) / 10, ((tenth + 1) * jitterMs) / 10];
        expect(late.some((ms) => ms >= from && ms <= to)).toBe(true);
      }
      expect(await simulation.close()).toEqual([]);
    },
  );

  test("is none unless asked for: runs begin on the second", async () => {
    const simulation = await start({ cron: EVERY_PERIOD });
    await simulation.host.clock.advance(20 * PERIOD_MS);
    expect(simulation.host.launched).toHaveLength(20);
    for (const { startedAtMs } of simulation.host.launched) expect(startedAtMs % PERIOD_MS).toBe(0);
    expect(await simulation.close()).toEqual([]);
  });

  test("a run that it holds back isn't started once the schedule is paused, or the supervisor ends", async () => {
    const simulation = await start({ cron: EVERY_PERIOD, jitterMs: PERIOD_MS });
    const { host, supervisor } = simulation;
    await host.clock.advance(PERIOD_MS);
    const begun = host.launched.length;
    supervisor.pauseSchedule("job");
    await host.clock.advance(10 * PERIOD_MS);
    expect(host.launched).toHaveLength(begun);
    supervisor.resumeSchedule("job");
    await host.clock.advance(PERIOD_MS);
    const known = supervisor.scheduleHistory("job").length;
    expect(await simulation.close()).toEqual([]);
    expect(supervisor.scheduleHistory("job")).toHaveLength(known);
  });
});

describe("when clocks change", () => {
  test.each([
    // 2:30 does not exist on the day that clocks go forward, and exists twice when they go back.
    ["Europe/Copenhagen", "30 2 * * *", "2026-03-28T12:00:00Z", ["03-29T01:00", "03-30T00:30"]],
    ["Europe/Copenhagen", "30 2 * * *", "2026-10-24T12:00:00Z", ["10-25T00:30", "10-26T01:30"]],
    ["America/New_York", "30 1 * * *", "2026-10-31T12:00:00Z", ["11-01T05:30", "11-02T06:30"]],
    ["America/New_York", "15 2 * * *", "2026-03-07T12:00:00Z", ["03-08T07:00", "03-09T06:15"]],
    // By half an hour.
    ["Australia/Lord_Howe", "45 1 * * *", "2026-04-04T00:00:00Z", ["04-04T14:45", "04-05T15:15"]],
  ])(
    "a daily time in %s, %s, is kept once a day from %s on",
    async (timezone, cron, from, runs) => {
      const simulation = await start({ cron, timezone }, { from });
      await simulation.host.clock.advance(48 * HOUR_MS);
      expect(startedAt(simulation)).toEqual(runs.map((run) => `2026-${run}:00.000Z`));
      expect(await simulation.close()).toEqual([]);
    },
  );

  test.each(["2026-03-28T22:30:00Z", "2026-10-24T22:30:00Z"])(
    "every hour that passes has its run of an hourly schedule, from %s on",
    async (from) => {
      const timezone = "Europe/Copenhagen";
      const simulation = await start({ cron: "0 * * * *", timezone }, { from });
      await simulation.host.clock.advance(6 * HOUR_MS);
      const first = Date.parse(from) + HOUR_MS / 2;
      const hours = Array.from({ length: 6 }, (_, hour) => first + hour * HOUR_MS);
      expect(startedAt(simulation)).toEqual(hours.map((at) => new Date(at).toISOString()));
      expect(await simulation.close()).toEqual([]);
    },
  );
});
