import { type MetricsRegistry, publishMetric } from "@millrace/core";
import type { BreakerChange, TableFault } from "../write/table-breaker.ts";

/** A table that refuses every row, whose records become dead letters together. */
export interface OpenBreaker extends TableFault {
  readonly table: string;
  /** Since when, in Unix milliseconds. */
  readonly since: number;
}

/** The breakers that any worker of a pool holds open. */
export class OpenBreakers {
  readonly #byTable = new Map<string, { breaker: OpenBreaker; workers: Set<number> }>();

  /** @returns the breaker that this opened for the whole pool, or `"closed"`, or undefined for no news. */
  change(worker: number, { table, fault }: BreakerChange): OpenBreaker | "closed" | undefined {
    const entry = this.#byTable.get(table);
    if (fault === undefined) return this.#close(worker, table);
    if (entry !== undefined) {
      entry.workers.add(worker);
      return undefined;
    }
    const breaker = { table, ...fault, since: Date.now() };
    this.#byTable.set(table, { breaker, workers: new Set([worker]) });
    return breaker;
  }

  /** @returns the tables whose breakers only this worker, which is gone, had held open. */
  forget(worker: number): string[] {
    return [...this.#byTable.keys()].filter((table) => this.#close(worker, table) === "closed");
  }

  list(): OpenBreaker[] {
    return [...this.#byTable.values()].map(({ breaker }) => breaker);
  }

  /** In words, for health; undefined when none is open. */
  describe(): string | undefined {
    if (this.#byTable.size === 0) return undefined;
    return this.list().map(describeBreaker).join("; ");
  }

  /** @returns a function that withdraws the gauge. */
  publish(registry: MetricsRegistry): () => void {
    return publishMetric(
      registry,
      {
        type: "gauge",
        name: "millrace_drain_breaker_open",
        help: "1 while a table refuses every row.",
        labelNames: ["table"],
      },
      () => this.list().map(({ table }) => ({ labels: { table }, value: 1 })),
    );
  }

  #close(worker: number, table: string): "closed" | undefined {
    const entry = this.#byTable.get(table);
    if (entry === undefined || !entry.workers.delete(worker)) return undefined;
    if (entry.workers.size > 0) return undefined;
    this.#byTable.delete(table);
    return "closed";
  }
}

/** `page_views refuses every row (23514 at page_views_url_check): its records become dead letters`. */
export function describeBreaker({ table, sqlState, at }: OpenBreaker): string {
  const where = at === undefined ? "" : ` at ${at}`;
  return `${table} refuses every row (${sqlState}${where}): its records become dead letters`;
}
