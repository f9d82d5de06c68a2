import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { TokenLimits } from "../../src/limits/token-limits.ts";
import { code, type OpenBackend, System } from "./backend.ts";

export function limitsContract(open: OpenBackend): void {
  describe("token limits", () => {
    let system: System;
    let limits: TokenLimits;
    beforeEach(async () => {
      system = await System.open(await open());
      limits = system.backend.createTokenLimits({
        tenants: system.tenants,
        accounts: { main: { inputTokensPerMinute: 100_000 }, wide: {} },
        plans: { basic: { outputTokensPerMinute: 6_000 } },
        reservationMs: 300,
      });
      await limits.start();
    });
    afterEach(async () => {
      await limits.close();
      await system.close();
    });
    const reserve = (inputTokens: number, outputTokens = 0, tenantId = "acme", account = "main") =>
      limits.reserve({ tenantId, account, estimate: { inputTokens, outputTokens } });
    const granted = async (...args: Parameters<typeof reserve>) => {
      const reservation = await reserve(...args);
      if (!reservation.granted) throw new Error(`refused for ${reservation.which}`);
      return reservation;
    };

    it("grant exactly what fits of many asks at once, and the refused cost nothing", async () => {
      const asks = await Promise.all(
        Array.from({ length: 100 }, (_, index) => reserve(2_000, 0, `t${index}`)),
      );
      expect(asks.filter((ask) => ask.granted)).toHaveLength(50);
      const refused = asks.find((ask) => !ask.granted);
      expect(refused).toMatchObject({ which: "account inputTokensPerMinute" });
      const [first] = asks;
      if (first?.granted) await limits.refund(first);
      expect((await reserve(2_000)).granted).toBe(true);
      expect((await reserve(2_000)).granted).toBe(false);
    });

    it("take no number that would close a bucket for ever", async () => {
      const first = await granted(1);
      for (const number of [Number.NaN, Number.POSITIVE_INFINITY, -1]) {
        const refusal = code("CONFIG_INVALID");
        await expect(reserve(number)).rejects.toEqual(refusal);
        const actual = { inputTokens: 0, outputTokens: number };
        await expect(limits.settle(first, actual)).rejects.toEqual(refusal);
        await expect(limits.block("main", number)).rejects.toEqual(refusal);
      }
      await granted(99_000);
    });

    it("take from the tenant's and the account's buckets or from none", async () => {
      await granted(1, 6_000);
      expect(await reserve(50_000, 3_000)).toMatchObject({
        granted: false,
        which: "tenant outputTokensPerMinute",
      });
      await granted(99_000, 1, "other");
    });

    it("are settled by what was used, once, and take once per id", async () => {
      const first = await granted(0, 5_000);
      await limits.settle(first, { inputTokens: 0, outputTokens: 1_000 });
      await limits.settle(first, { inputTokens: 0, outputTokens: 0 });
      await limits.refund(first);
      expect((await reserve(0, 5_500)).granted).toBe(false);
      const estimate = { inputTokens: 0, outputTokens: 3_000 };
      const again = { tenantId: "acme", account: "main", estimate, id: "same" };
      expect((await limits.reserve(again)).granted).toBe(true);
      expect((await limits.reserve(again)).granted).toBe(true);
    });

    it("let a call larger than its bucket pass once the bucket is full", async () => {
      await granted(0, 20_000);
      const next = await reserve(0, 1);
      expect(next.granted ? 0 : next.waitMs).toBeGreaterThan(100_000);
    });

    it("say how long to wait, and grant after that", async () => {
      await granted(0, 6_000);
      const refusedAt = system.backend.now();
      const refused = await reserve(0, 20);
      const waitMs = refused.granted ? 0 : refused.waitMs;
      expect(waitMs).toBeGreaterThan(100);
      expect(waitMs).toBeLessThanOrEqual(200);
      await system.backend.until(async () => (await reserve(0, 20)).granted);
      expect(system.backend.now() - refusedAt).toBeGreaterThanOrEqual(waitMs - 1);
    });

    it("close an account for everybody and never for a shorter time", async () => {
      await limits.block("wide", 5_000);
      await limits.block("wide", 10);
      const refused = await reserve(1, 1, "acme", "wide");
      expect(refused).toMatchObject({ granted: false, which: "account blocked" });
      expect(refused.granted ? 0 : refused.waitMs).toBeGreaterThan(4_000);
    });

    it("are lowered to what a provider says is left, never raised", async () => {
      const left = (inputTokensPerMinute: number) => ({
        remaining: { inputTokensPerMinute },
        readAt: system.backend.now(),
      });
      const usage = { inputTokens: 1_000, outputTokens: 0 };
      await limits.settle(await granted(1_000), usage, left(10_000));
      expect((await reserve(50_000)).granted).toBe(false);
      await limits.settle(await granted(1_000), usage, left(90_000));
      expect((await reserve(50_000)).granted).toBe(false);
      await granted(5_000);
    });

    it("count a call that was never settled as spent", async () => {
      const lost = await granted(0, 5_900);
      const reservedAt = system.backend.now();
      await system.backend.until(() => system.backend.now() - reservedAt > 310);
      // Any ask clears what is overdue.
      await reserve(1, 0, "other");
      await limits.refund(lost);
      expect((await reserve(0, 3_000)).granted).toBe(false);
    });

    it("let one process probe at a time, and refuse unknown accounts and a closed start", async () => {
      const leaves = await Promise.all(
        Array.from({ length: 20 }, () => limits.mayProbe("main", 100)),
      );
      expect(leaves.filter(Boolean)).toHaveLength(1);
      await system.backend.until(() => limits.mayProbe("main", 5_000));
      await expect(reserve(1, 1, "acme", "nobody")).rejects.toThrow(TypeError);
      await limits.close();
      await expect(reserve(1)).rejects.toEqual(code("QUEUE_CLOSED"));
    });
  });
}
