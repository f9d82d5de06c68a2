import { type Logger, LogThrottle } from "@millrace/core";
import type { MaintenanceReport } from "./maintenance-report.ts";

/** How often one table's failure is logged at most, in milliseconds. */
const LOG_INTERVAL_MS = 600_000;

/** Logs each note once, and the failures of a table now and then. */
export class MaintenanceLog {
  readonly #logger: Logger;
  readonly #throttle: LogThrottle;
  readonly #noted = new Set<string>();

  constructor(logger: Logger) {
    this.#logger = logger;
    this.#throttle = new LogThrottle(logger, LOG_INTERVAL_MS);
  }

  add({ problems }: MaintenanceReport): void {
    for (const { table, kind, reason } of problems) {
      if (kind === "failure") {
        const message = "a table's partitions could not be looked after: trying again";
        this.#throttle.warn(table, () => ({ table, reason }), message);
      } else if (kind === "prune") {
        const message = "old rows of a table could not be deleted, it grows: trying again";
        this.#throttle.warn(`prune ${table}`, () => ({ table, reason }), message);
      } else if (!this.#noted.has(`${table} ${reason}`)) {
        this.#noted.add(`${table} ${reason}`);
        this.#logger.warn({ table, reason }, "a table's partitions are not looked after");
      }
    }
  }
}
