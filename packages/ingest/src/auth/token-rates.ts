import type { NamedToken } from "../ingest-options.ts";

/** What the payloads of one token may cost. */
export type TokenRate = Pick<NamedToken, "name" | "payloadsPerSecond" | "bytesPerSecond">;

/** Keeps the payloads of each token within its rates; a token without rates is never held back. */
export class TokenRates {
  readonly #allowances = new Map<string, { payloads: Allowance; bytes: Allowance }>();

  constructor(tokens: ReadonlyArray<string | TokenRate>) {
    for (const token of tokens) {
      if (typeof token === "string") continue;
      this.#allowances.set(token.name, {
        payloads: new Allowance(token.payloadsPerSecond),
        bytes: new Allowance(token.bytesPerSecond),
      });
    }
  }

  /** Charges a payload to its token; false, and nothing charged, when the token has used its rate up. */
  tryTake(token: string, bytes: number, now = performance.now()): boolean {
    const allowance = this.#allowances.get(token);
    if (allowance === undefined) return true;
    if (!allowance.payloads.isLeft(now) || !allowance.bytes.isLeft(now)) return false;
    allowance.payloads.take(1);
    allowance.bytes.take(bytes);
    return true;
  }
}

/**
 * A token bucket that holds one second's worth. It may go into debt for one payload, which the time
 * after it pays back: else a payload larger than a second's worth could never pass.
 */
class Allowance {
  readonly #perSecond: number;
  #left: number;
  #filledAt: number | undefined;

  constructor(perSecond = Number.POSITIVE_INFINITY) {
    this.#perSecond = perSecond;
    this.#left = perSecond;
  }

  isLeft(now: number): boolean {
    const elapsedMs = now - (this.#filledAt ?? now);
    this.#filledAt = now;
    // Infinity times zero is not a number.
    if (elapsedMs > 0) {
      this.#left = Math.min(this.#perSecond, this.#left + (elapsedMs / 1_000) * this.#perSecond);
    }
    return this.#left > 0;
  }

  take(amount: number): void {
    this.#left -= amount;
  }
}
