/** Knows how many tasks a tenant has had at once, over all workers whose handlers call `work`. */
export class ConcurrencyMeter {
  /** The most that any tenant had. */
  highest = 0;
  readonly #running = new Map<string, number>();

  /** Takes `durationMs`, as a task of `tenantId`. */
  async work(tenantId: string, durationMs: number): Promise<void> {
    const now = (this.#running.get(tenantId) ?? 0) + 1;
    this.#running.set(tenantId, now);
    this.highest = Math.max(this.highest, now);
    await new Promise((resolve) => setTimeout(resolve, durationMs));
    this.#running.set(tenantId, (this.#running.get(tenantId) ?? 1) - 1);
  }
}
