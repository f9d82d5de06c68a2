import { silentLogger } from "@millrace/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { code, type OpenBackend, System } from "./backend.ts";

export function schedulesContract(open: OpenBackend): void {
  describe("schedules", () => {
    let system: System;
    beforeEach(async () => {
      system = await System.open(await open());
    });
    afterEach(() => system.close());

    it("add one task a tick however many schedulers there are, until they are removed", async () => {
      const ran: string[] = [];
      await system.worker(async ({ taskId }) => ran.push(taskId));
      const make = () =>
        system.backend.createScheduler({ queue: system.queue, logger: silentLogger });
      const [first, second] = [make(), make()];
      await first.start();
      await second.start();
      const task = { tenantId: "acme", data: { a: 1 } };
      for (const scheduler of [first, second]) {
        await scheduler.upsert("digest", { everyMs: 300 }, task);
      }
      await system.backend.until(() => ran.length >= 3);
      expect(new Set(ran).size).toBe(ran.length);
      expect(ran.every((taskId) => /^sched\|digest\|\d+$/.test(taskId))).toBe(true);
      const ticks = ran.map((taskId) => Number(taskId.split("|")[2]));
      expect(new Set(ticks.map((tick) => Math.round(tick / 300))).size).toBe(ticks.length);
      await first.upsert("nightly", { cron: "0 9 * * *", timezone: "Europe/Berlin" }, task);
      const list = await second.list();
      expect(list.map(({ scheduleId }) => scheduleId).toSorted()).toEqual(["digest", "nightly"]);
      const nightly = list.find(({ scheduleId }) => scheduleId === "nightly")?.nextAt ?? 0;
      expect(new Date(nightly).toLocaleTimeString("en-GB", { timeZone: "Europe/Berlin" })).toBe(
        "09:00:00",
      );
      expect(nightly - system.backend.now()).toBeLessThanOrEqual(25 * 3_600_000);
      expect(nightly).toBeGreaterThan(system.backend.now());
      const wrong = [
        { cron: "at nine" },
        { cron: "" },
        { cron: "0 9 * * *", timezone: "Mars/Olympus" },
        ...[0, -1, 0.5, Number.NaN].map((everyMs) => ({ everyMs })),
      ];
      for (const time of wrong) {
        await expect(first.upsert("nightly", time, task)).rejects.toEqual(code("CONFIG_INVALID"));
      }
      for (const bad of [{ tenantId: "a|b" }, { attempts: 0 }]) {
        await expect(
          first.upsert("nightly", { everyMs: 1_000 }, { ...task, ...bad }),
        ).rejects.toEqual(code("CONFIG_INVALID"));
      }
      expect(await second.list()).toHaveLength(2);
      expect(await second.remove("digest")).toBe(true);
      expect(await second.remove("digest")).toBe(false);
      expect(await first.remove("nightly")).toBe(true);
      expect(await first.list()).toEqual([]);
      expect(() => system.backend.createScheduler({ queue: {} as typeof system.queue })).toThrow(
        expect.objectContaining({ code: "CONFIG_INVALID" }),
      );
      await expect(first.upsert("a b", { everyMs: 1_000 }, task)).rejects.toEqual(
        code("CONFIG_INVALID"),
      );
      await first.close();
      await second.close();
      await expect(async () => first.list()).rejects.toEqual(code("QUEUE_CLOSED"));
    });
  });
}
