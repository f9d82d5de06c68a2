import type { ByteBudget } from "../byte-budget.ts";

const FIRST_BYTES = 4 * 1024;

/**
 * Collects a payload that comes in several chunks in one buffer. The buffer doubles as bytes really
 * arrive, because LENGTH is only a claim: twice what came is the most that a lie can cost.
 */
export class PayloadAssembly {
  readonly #budget: ByteBudget;
  #buffer: Buffer | undefined;
  #filled = 0;

  constructor(budget: ByteBudget) {
    this.#budget = budget;
  }

  get isBegun(): boolean {
    return this.#buffer !== undefined;
  }

  /** Bytes collected so far. */
  get filled(): number {
    return this.#filled;
  }

  /** Copies bytes of a payload of `totalBytes`; false when the budget has no room for them. */
  append(bytes: Uint8Array, totalBytes: number): boolean {
    const needed = this.#filled + bytes.length;
    if (needed > (this.#buffer?.length ?? 0) && !this.#grow(needed, totalBytes)) return false;
    this.#buffer?.set(bytes, this.#filled);
    this.#filled = needed;
    return true;
  }

  /** Hands the payload over and starts anew. */
  take(): Buffer {
    const payload = this.#buffer ?? Buffer.alloc(0);
    this.discard();
    return payload;
  }

  discard(): void {
    this.#budget.release(this.#buffer?.length ?? 0);
    this.#buffer = undefined;
    this.#filled = 0;
  }

  #grow(needed: number, totalBytes: number): boolean {
    const capacity = Math.min(totalBytes, Math.max(FIRST_BYTES, needed * 2));
    const held = this.#buffer?.length ?? 0;
    if (!this.#budget.tryHold(capacity - held)) return false;
    const grown = Buffer.allocUnsafeSlow(capacity);
    this.#buffer?.copy(grown, 0, 0, this.#filled);
    this.#buffer = grown;
    return true;
  }
}
