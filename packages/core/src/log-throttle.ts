import type { Logger } from "./logger.ts";

/**
 * Writes at most one warning per key and interval and counts the rest, so that a misbehaving peer
 * cannot fill the disk with log lines.
 */
export class LogThrottle {
  readonly #logger: Logger;
  readonly #intervalMs: number;
  readonly #keys = new Map<string, { nextAt: number; suppressed: number }>();

  /** `intervalMs` defaults to 10,000. Keys must come from a small fixed set. */
  constructor(logger: Logger, intervalMs = 10_000) {
    this.#logger = logger;
    this.#intervalMs = intervalMs;
  }

  warn(key: string, fields: () => object, message: string): void {
    const now = performance.now();
    const entry = this.#keys.get(key);
    if (entry !== undefined && now < entry.nextAt) {
      entry.suppressed++;
      return;
    }
    const suppressed = entry?.suppressed ?? 0;
    this.#keys.set(key, { nextAt: now + this.#intervalMs, suppressed: 0 });
    this.#logger.warn(suppressed > 0 ? { ...fields(), suppressed } : fields(), message);
  }
}
