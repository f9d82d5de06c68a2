import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { retainBytes } from "../../src/client/retained-bytes.ts";

describe("retainBytes", () => {
  it("keeps the bytes and at most twice their memory, and says what it keeps", () => {
    fc.assert(
      fc.property(fc.nat({ max: 70_000 }), fc.nat({ max: 70_000 }), (before, length) => {
        const whole = Buffer.alloc(before + length, 7);
        const view = whole.subarray(before);
        const { bytes, heldBytes } = retainBytes(view);
        expect(Buffer.compare(bytes, view)).toBe(0);
        expect(bytes.buffer.byteLength).toBeLessThanOrEqual(2 * length);
        expect(heldBytes).toBeGreaterThanOrEqual(bytes.buffer.byteLength);
      }),
      { numRuns: 50 },
    );
  });

  it("does not copy what makes up most of its memory", () => {
    const whole = Buffer.alloc(60_000);
    expect(retainBytes(whole.subarray(20)).bytes.buffer).toBe(whole.buffer);
  });

  it("takes small payloads out of the memory that they share with many others", () => {
    const pooled = Buffer.from("[1]");
    expect(pooled.buffer.byteLength).toBeGreaterThan(1_000);
    expect(retainBytes(pooled).bytes.buffer.byteLength).toBe(3);
  });
});
