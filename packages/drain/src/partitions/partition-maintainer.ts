import { Backoff, messageOf } from "@millrace/core/thread";
import type { Client } from "pg";
import type { DrainSchema } from "../schema/drain-schema.ts";
import {
  type CreateOutcome,
  createDefaultPartition,
  createPartition,
  MAX_MOVED_ROWS,
} from "./create-partition.ts";
import {
  dropPartition,
  EXPIRED_AT_ONCE,
  expireDefaultRows,
  readLateMoments,
} from "./expire-rows.ts";
import {
  createMaintenanceCounts,
  type MaintenanceCounts,
  type MaintenanceProblem,
  type MaintenanceReport,
} from "./maintenance-report.ts";
import { ConnectionLost, inMaintenanceTransaction } from "./maintenance-transaction.ts";
import { type PartitionedParent, readParent, type Unmaintained } from "./partition-catalog.ts";
import {
  lateRange,
  type PartitionedTable,
  type PartitionPlan,
  planPartitions,
} from "./partition-plan.ts";

export interface PartitionMaintainerOptions {
  /** Those without `partitionBy` are left alone. */
  tables: DrainSchema["tables"];
  /** For tests. @default the server's clock */
  now?: (() => Date) | undefined;
}

/** Partitions are made two days ahead: an hour, or a few that failed, does not matter. */
const PASS_INTERVAL_MS = 3_600_000;
/** How long one run may keep its worker from landing, in milliseconds; the first makes all that is missing. */
const RUN_MS = 250;
const FIRST_RUN_MS = 5_000;
/** Rows of a default partition that are deleted before landing goes on. */
const MAX_EXPIRED_BATCHES = 4;
const MAX_DROPS = 10;

const NOTES: Readonly<Record<Exclude<Unmaintained, "missing">, string>> = {
  "not partitioned": "the table exists without partitions and is kept as it is",
  "partitioned otherwise": "the table is partitioned in another way and is kept as it is",
};

/**
 * Keeps the partitions of tables: makes them ahead, gives late rows theirs, drops what is too old.
 *
 * Every step is a short transaction on one table, so that a run can end after any of them and
 * another agent can take over.
 */
export class PartitionMaintainer {
  readonly #tables: readonly PartitionedTable[];
  readonly #now: (() => Date) | undefined;
  readonly #backoff = new Backoff({ baseMs: 2_000, capMs: 60_000 });
  /** Tables that this pass has still to look at. */
  #queue: PartitionedTable[] = [];
  #nextPassAt = 0;
  #isFirstRun = true;
  /** Whether something in this pass has to be tried again soon. */
  #isIncomplete = false;
  #report: MaintenanceReport = emptyReport();

  constructor({ tables, now }: PartitionMaintainerOptions) {
    this.#tables = tables.flatMap(({ name, partitionBy }) =>
      partitionBy === undefined ? [] : [{ name, partitionBy }],
    );
    this.#now = now;
  }

  /** Whether {@link PartitionMaintainer.run} has something to look at. */
  get isDue(): boolean {
    if (this.#tables.length === 0) return false;
    return this.#queue.length > 0 || this.nextPassInMs <= 0;
  }

  /** When all tables are looked at again, in milliseconds from now. */
  get nextPassInMs(): number {
    return this.#nextPassAt - performance.now();
  }

  /** Makes the next run look at all tables: they may be new. */
  makeDue(): void {
    this.#queue = [];
    this.#nextPassAt = 0;
  }

  /**
   * Looks at as many tables as there is time for.
   *
   * @throws {@link ConnectionLost}; everything else is in the report.
   */
  async run(client: Client, onProgress: () => void = () => {}): Promise<MaintenanceReport> {
    const endAt = performance.now() + (this.#isFirstRun ? FIRST_RUN_MS : RUN_MS);
    this.#report = emptyReport();
    if (this.#queue.length === 0) {
      this.#queue = [...this.#tables];
      this.#isIncomplete = false;
    }
    // Stands unless the pass ends well.
    this.#nextPassAt = performance.now() + this.#backoff.nextDelayMs();
    try {
      do {
        const table = this.#queue.shift();
        if (table === undefined) break;
        const isDone = await this.#maintain(client, table, onProgress);
        if (!isDone) this.#queue.push(table);
      } while (performance.now() < endAt);
    } catch (error) {
      // Landing comes first on the next connection.
      this.#queue = [];
      throw error;
    }
    this.#isFirstRun = false;
    if (this.#queue.length === 0) this.#schedule();
    return this.#report;
  }

  #schedule(): void {
    // A lock that was held now is free in a moment: an hour later the rows would lie elsewhere.
    if (this.#isIncomplete) return;
    this.#backoff.reset();
    this.#nextPassAt = performance.now() + PASS_INTERVAL_MS * (0.75 + Math.random() / 4);
  }

  /** @returns false when there is more to do on the table. */
  async #maintain(
    client: Client,
    table: PartitionedTable,
    onProgress: () => void,
  ): Promise<boolean> {
    try {
      const found = await this.#attempt(client, table, () => this.#look(client, table));
      onProgress();
      if (found === "busy" || found === undefined) return true;
      const { parent, plan } = found;
      if (!(await this.#createAll(client, parent, plan, onProgress))) return true;
      const hasDropped = await this.#drop(client, parent, plan, onProgress);
      return (await this.#expire(client, parent, plan, onProgress)) && hasDropped;
    } catch (error) {
      if (error instanceof ConnectionLost) throw error;
      this.#fail(table.name, messageOf(error));
      return true;
    }
  }

  async #look(
    client: Client,
    table: PartitionedTable,
  ): Promise<{ parent: PartitionedParent; plan: PartitionPlan } | undefined> {
    const parent = await readParent(client, table);
    if (parent === "missing") {
      this.#isIncomplete = true;
      return undefined;
    }
    if (typeof parent === "string") {
      this.#problem({ table: table.name, kind: "note", reason: NOTES[parent] });
      return undefined;
    }
    const now = this.#now?.() ?? parent.now;
    const lateMoments = await readLateMoments(client, parent, lateRange(table, now));
    return { parent, plan: planPartitions(table, parent.partitions, lateMoments, now) };
  }

  /** @returns false when a lock was held: to ask for it once more would only make others wait. */
  async #createAll(
    client: Client,
    parent: PartitionedParent,
    { create }: PartitionPlan,
    onProgress: () => void,
  ): Promise<boolean> {
    if (
      parent.defaultPartition === undefined &&
      !(await this.#create(client, parent, () => createDefaultPartition(client, parent)))
    ) {
      return false;
    }
    for (const partition of create) {
      const isDone = await this.#create(client, parent, () =>
        createPartition(client, parent, partition, onProgress),
      );
      onProgress();
      if (!isDone) return false;
    }
    return true;
  }

  async #create(
    client: Client,
    { table }: PartitionedParent,
    create: () => Promise<CreateOutcome>,
  ): Promise<boolean> {
    let outcome: CreateOutcome | "busy";
    try {
      outcome = await this.#attempt(client, table, create);
    } catch (error) {
      // The other partitions may still be possible.
      if (error instanceof ConnectionLost) throw error;
      this.#fail(table.name, messageOf(error));
      return true;
    }
    if (outcome === "busy") return false;
    if (outcome.kind === "created") {
      this.#count("partitionsCreated", 1);
      this.#count("lateRowsMoved", outcome.movedRows);
    } else if (outcome.kind === "name taken") {
      const reason = "a table that is none of its partitions has the name of one";
      this.#problem({ table: table.name, kind: "note", reason });
    } else if (outcome.kind === "too many rows") {
      const reason = `more than ${MAX_MOVED_ROWS} rows of one interval stay in the default partition`;
      this.#problem({ table: table.name, kind: "note", reason });
    }
    return true;
  }

  /** @returns false when there is more to drop. */
  async #drop(
    client: Client,
    parent: PartitionedParent,
    { drop }: PartitionPlan,
    onProgress: () => void,
  ): Promise<boolean> {
    for (const name of drop.slice(0, MAX_DROPS)) {
      const wasDropped = await this.#attempt(client, parent.table, () =>
        dropPartition(client, parent, name),
      );
      onProgress();
      if (wasDropped === "busy") return true;
      if (wasDropped) this.#count("partitionsDropped", 1);
    }
    return drop.length <= MAX_DROPS;
  }

  /** @returns false when there is more to delete. */
  async #expire(
    client: Client,
    { table, defaultPartition }: PartitionedParent,
    { expireReceivedBefore }: PartitionPlan,
    onProgress: () => void,
  ): Promise<boolean> {
    if (expireReceivedBefore === undefined || defaultPartition === undefined) return true;
    for (let batch = 0; batch < MAX_EXPIRED_BATCHES; batch++) {
      const rows = await this.#attempt(client, table, () =>
        expireDefaultRows(client, defaultPartition, expireReceivedBefore),
      );
      onProgress();
      if (rows === "busy") return true;
      this.#count("expiredRowsDeleted", rows);
      if (rows < EXPIRED_AT_ONCE) return true;
    }
    return false;
  }

  async #attempt<Result>(
    client: Client,
    { name }: PartitionedTable,
    work: () => Promise<Result>,
  ): Promise<Result | "busy"> {
    const result = await inMaintenanceTransaction(client, name, work);
    if (result === "busy") {
      this.#isIncomplete = true;
      this.#count("maintenanceSkips", 1);
    }
    return result;
  }

  #fail(table: string, reason: string): void {
    this.#isIncomplete = true;
    this.#count("maintenanceFailures", 1);
    this.#problem({ table, kind: "failure", reason });
  }

  #problem(problem: MaintenanceProblem): void {
    this.#report.problems.push(problem);
  }

  #count(key: keyof MaintenanceCounts, amount: number): void {
    this.#report.counts[key] += amount;
  }
}

function emptyReport(): MaintenanceReport {
  return { counts: createMaintenanceCounts(), problems: [] };
}
