import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { code, held, type OpenBackend, System } from "./backend.ts";

const PRIORITIES = ["urgent", "normal", "batch"] as const;

export function admissionContract(open: OpenBackend): void {
  describe("admission", () => {
    let system: System;
    beforeEach(async () => {
      system = await System.open(await open());
    });
    afterEach(() => system.close());
    const until = <Result>(condition: () => Result | Promise<Result>) =>
      system.backend.until(condition);
    const bulk = (tenantId: string, size: number, more: object = {}) =>
      system.queue.addBulk(
        Array.from({ length: size }, (_, n) => ({ tenantId, data: { n }, ...more })),
      );

    it("never lets a tenant run more than its cap, which may change meanwhile", async () => {
      const { handler, waiting, goOn } = held();
      await system.worker(handler, { concurrency: 10 });
      await system.allow("acme", { maxConcurrent: 3 });
      await bulk("acme", 10);
      await bulk("other", 3);
      await until(() => waiting.length === 5);
      const running = () => waiting.filter(({ tenantId }) => tenantId === "acme").length;
      expect(running()).toBe(3);
      await system.allow("acme", { maxConcurrent: 1 });
      expect(await system.held()).toBe(3);
      for (let ended = 0; ended < 13; ended++) {
        await until(() => waiting.length > 0);
        goOn();
        // Above the new cap it drains: nothing of it starts.
        const most = Math.max(1, running());
        await until(async () => (await system.held()) <= most);
        expect(running()).toBeLessThanOrEqual(most);
      }
      await until(async () => (await system.held()) === 0);
      await bulk("acme", 4);
      await until(() => waiting.length === 1);
      await system.allow("acme", { maxConcurrent: 4 });
      await until(() => waiting.length === 4);
      while (waiting.length > 0) goOn();
    });

    it("takes a tenant's own tasks by priority, then in the order in which they came", async () => {
      await system.allow("acme", { maxConcurrent: 1 });
      await system.queue.pauseTenant("acme");
      const wanted: string[][] = [[], [], []];
      for (let n = 0; n < 12; n++) {
        const index = (n * 7) % 3;
        wanted[index]?.push(await system.add({ n }, { priority: PRIORITIES[index] }));
      }
      const order: string[] = [];
      await system.worker(async ({ taskId }) => order.push(taskId));
      expect(await system.queue.status()).toMatchObject({ staged: 12, running: 0, admitted: 0 });
      await system.queue.resumeTenant("acme");
      await until(() => order.length === 12);
      expect(order).toEqual(wanted.flat());
    });

    it("serves tenants that compete by their weights", async () => {
      const order: string[] = [];
      for (const [tenantId, weight] of [
        ["light", 1],
        ["heavy", 3],
      ] as const) {
        await system.allow(tenantId, { maxConcurrent: 100, weight });
      }
      // Whoever comes first fills what is admitted ahead.
      await system.allow("first", { maxConcurrent: 100 });
      await bulk("first", 16);
      await bulk("light", 40);
      await bulk("heavy", 60);
      await system.worker(async ({ tenantId }) => order.push(tenantId), { concurrency: 1 });
      await until(() => order.length === 116);
      const contested = order.filter((tenantId) => tenantId !== "first").slice(0, 60);
      const heavy = contested.filter((tenantId) => tenantId === "heavy").length;
      expect(Math.abs(heavy - 45)).toBeLessThanOrEqual(3);
    });

    it("starves no class, and serves the most urgent alone when told to be strict", async () => {
      const shares = async (queue: System["queue"]) => {
        const order: string[] = [];
        for (const tenantId of PRIORITIES) await system.allow(tenantId, { maxConcurrent: 1_000 });
        await system.queue.pauseTenant("urgent");
        await queue.addBulk(
          PRIORITIES.toReversed().flatMap((priority) =>
            Array.from({ length: 70 }, () => ({ tenantId: priority, priority, data: {} })),
          ),
        );
        const worker = await system.worker(async ({ tenantId }) => order.push(tenantId), {
          queue,
          concurrency: 1,
        });
        await queue.resumeTenant("urgent");
        await until(() => order.length === 210);
        await worker.close();
        return order;
      };
      const fair = await shares(system.queue);
      const urgentFrom = fair.indexOf("urgent");
      const contested = fair.slice(urgentFrom, urgentFrom + 63);
      expect(contested.filter((name) => name !== "urgent").length).toBeGreaterThanOrEqual(5);
      const strict = await system.makeQueue({ role: "strict", classWeights: "strict" });
      for (const tenantId of PRIORITIES) {
        await system.tenants.set(tenantId, {
          plan: "basic",
          roles: { strict: { maxConcurrent: 1_000 }, copywriter: { maxConcurrent: 1_000 } },
        });
      }
      await strict.pauseTenant("normal");
      await strict.pauseTenant("batch");
      await strict.addBulk(
        PRIORITIES.toReversed().flatMap((priority) =>
          Array.from({ length: 30 }, () => ({ tenantId: priority, priority, data: {} })),
        ),
      );
      const order: string[] = [];
      await strict.resumeTenant("normal");
      await strict.resumeTenant("batch");
      await system.worker(async ({ tenantId }) => order.push(tenantId), {
        queue: strict,
        concurrency: 1,
      });
      await until(() => order.length === 90);
      expect(order).toEqual(PRIORITIES.flatMap((name) => Array.from({ length: 30 }, () => name)));
    });

    it("pauses and resumes a tenant without touching others", async () => {
      const { queue } = system;
      const ran: string[] = [];
      await queue.pauseTenant("acme");
      await bulk("acme", 5);
      await bulk("other", 2);
      await system.worker(async ({ tenantId }) => ran.push(tenantId));
      await until(() => ran.length === 2);
      expect(ran).toEqual(["other", "other"]);
      // A slot is given back a moment after its run has ended.
      const tenants = await until(async () => {
        const { tenants: active } = await queue.status();
        return active.length === 1 ? active : undefined;
      });
      expect(tenants).toMatchObject([
        { tenantId: "acme", staged: 5, held: 0, isPaused: true, maxConcurrent: 2, weight: 1 },
      ]);
      await queue.resumeTenant("acme");
      await until(() => ran.length === 7);
    });

    it("starts a tenant's tasks no faster than its rate, while others go on", async () => {
      await system.allow("slow", { maxConcurrent: 100, rate: { startsPerSecond: 10, burst: 2 } });
      const startedAt: number[] = [];
      const addedAt = system.backend.now();
      await bulk("slow", 4);
      await bulk("other", 1);
      let isOtherDone = false;
      await system.worker(async ({ tenantId }) => {
        if (tenantId === "other") isOtherDone = true;
        else startedAt.push(system.backend.now() - addedAt);
      });
      await until(() => startedAt.length === 4 && isOtherDone);
      expect(startedAt[2]).toBeGreaterThanOrEqual(99);
      expect(startedAt[3]).toBeGreaterThanOrEqual(199);
    });

    it("asks for workers by what may run, not by what waits", async () => {
      const { queue } = system;
      await bulk("capped", 100);
      expect(await queue.desiredWorkers({ concurrency: 4 })).toBe(1);
      await system.allow("wide", { maxConcurrent: 100 });
      await bulk("wide", 90);
      expect(await queue.desiredWorkers({ concurrency: 4 })).toBe(23);
      expect(await queue.desiredWorkers({ concurrency: 4, max: 10 })).toBe(10);
      await queue.pauseTenant("wide");
      expect(await queue.desiredWorkers({ concurrency: 4, min: 2 })).toBeLessThan(10);
      const status = await queue.status();
      expect(status.role).toBe("copywriter");
      expect(status.staged + status.admitted).toBe(190);
      expect(status.oldestAgeMs).toBeGreaterThanOrEqual(0);
    });
  });

  describe("tenants and plans", () => {
    let system: System;
    beforeEach(async () => {
      system = await System.open(await open());
    });
    afterEach(() => system.close());

    it("give each role what the plan offers, with the tenant's own changes on top", async () => {
      const tenants = system.backend.createTenantStore({
        plans: {
          free: { roles: { copywriter: { maxConcurrent: 1 } } },
          agency: { roles: { "*": { maxConcurrent: 4 }, analyst: { maxConcurrent: 2 } } },
        },
      });
      await expect(async () => tenants.get("acme")).rejects.toEqual(code("QUEUE_CLOSED"));
      await tenants.start();
      await expect(tenants.allocation("acme", "copywriter")).rejects.toEqual(
        code("QUEUE_TENANT_UNKNOWN"),
      );
      await expect(tenants.set("acme", { plan: "constructor" })).rejects.toEqual(
        code("QUEUE_TENANT_UNKNOWN"),
      );
      await expect(tenants.set("acme", { plan: "gold" })).rejects.toEqual(
        code("QUEUE_TENANT_UNKNOWN"),
      );
      await expect(tenants.set("acme", { plan: "free", timezone: "Mars" })).rejects.toEqual(
        code("CONFIG_INVALID"),
      );
      await tenants.set("acme", { plan: "free", timezone: "Europe/Berlin" });
      expect(await tenants.allocation("acme", "copywriter")).toMatchObject({
        tenantId: "acme",
        role: "copywriter",
        plan: "free",
        timezone: "Europe/Berlin",
        isEnabled: true,
        maxConcurrent: 1,
        weight: 1,
      });
      expect((await tenants.allocation("acme", "analyst")).isEnabled).toBe(false);
      const changed = { plan: "agency", roles: { analyst: { weight: 5 } } };
      await tenants.set("acme", changed);
      expect(await tenants.get("acme")).toEqual(changed);
      expect(await tenants.allocation("acme", "analyst")).toMatchObject({
        maxConcurrent: 2,
        weight: 5,
      });
      expect((await tenants.allocation("acme", "writer")).maxConcurrent).toBe(4);
      expect(await tenants.list()).toEqual([{ tenantId: "acme", record: changed }]);
      await tenants.delete("acme");
      expect(await tenants.get("acme")).toBeUndefined();
      await tenants.close();
    });

    it("reach a running queue at once", async () => {
      await system.queue.addBulk(Array.from({ length: 8 }, () => ({ tenantId: "acme", data: {} })));
      expect(await system.held()).toBe(2);
      await system.allow("acme", { maxConcurrent: 5 });
      expect(await system.held()).toBe(5);
      await system.allow("acme", { isEnabled: false });
      await expect(system.add()).rejects.toEqual(code("QUEUE_TENANT_DISABLED"));
      await system.tenants.delete("acme");
      await system.add();
      // Those that the higher cap let in would only drain.
      expect(await system.queue.cancelTenant("acme")).toBe(9);
    });

    it("share a queue between two of its handles as two processes would", async () => {
      const other = await system.makeQueue();
      const { taskId } = await other.add({ tenantId: "acme", data: { from: "other" } });
      await system.worker(async ({ data }) => data["from"]);
      await system.reaches(taskId, "completed");
      expect((await other.get(taskId))?.result).toBe("other");
    });
  });
}
