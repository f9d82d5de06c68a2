import {
  type Component,
  defaultLogger,
  defaultMetrics,
  type Health,
  Lifecycle,
  LifecycleComponent,
  type Listener,
  type Logger,
  LogThrottle,
  messageOf,
  MillraceError,
  parseOptions,
  TypedEmitter,
} from "@millrace/core";
import type { BufferOwner } from "@millrace/core/buffer";
import { type DrainConcurrency, DrainTuner } from "./adaptive/drain-tuner.ts";
import { publishTunerMetrics } from "./adaptive/tuner-metrics.ts";
import { audit } from "./audit/audit.ts";
import { type AuditRange, auditRangeSchema } from "./audit/audit-options.ts";
import type { AuditReport } from "./audit/audit-report.ts";
import { createDeadLetters, type DeadLetters } from "./dead-letters/dead-letters.ts";
import { publishLetterMetrics } from "./dead-letters/letter-metrics.ts";
import {
  asDrainSchema,
  type DrainPoolOptions,
  drainPoolOptionsSchema,
  type ResolvedDrainPoolOptions,
} from "./drain-options.ts";
import type { WorkerInput, WorkerMessage, WorkerPhase } from "./messages.ts";
import { MaintenanceLog } from "./partitions/maintenance-log.ts";
import { publishMaintenanceMetrics } from "./partitions/maintenance-metrics.ts";
import {
  addMaintenance,
  createMaintenanceCounts,
  type MaintenanceCounts,
} from "./partitions/maintenance-report.ts";
import { count, createCounters, type DrainCounters } from "./pool/drain-counters.ts";
import { publishDrainMetrics } from "./pool/drain-metrics.ts";
import { describeBreaker, type OpenBreaker, OpenBreakers } from "./pool/open-breakers.ts";
import { WorkerHandle } from "./pool/worker-handle.ts";
import { type DrainWorkerStatus, findStall } from "./stall/pool-health.ts";
import { stallMetric } from "./stall/stall-metric.ts";
import type { BreakerChange } from "./write/table-breaker.ts";

/** Counters of a pool and the state of its workers. */
export interface DrainStatus extends Readonly<DrainCounters> {
  workers: readonly DrainWorkerStatus[];
  /** How many workers may land at a time, and how much. */
  concurrency: Readonly<DrainConcurrency>;
  partitions: Readonly<MaintenanceCounts>;
  /** Tables that refuse every row: their records become dead letters together. */
  openBreakers: readonly OpenBreaker[];
  /** Unix milliseconds; undefined before the first batch. */
  lastLandedAt: number | undefined;
}

/** What a drain pool tells its listeners. */
export type DrainEvents = {
  /** When a batch has left the buffer. */
  "batch:landed": { worker: number; payloads: number; deadLetters: number; seconds: number };
  /** When a worker starts or stops waiting for its batch to land. */
  "worker:changed": { worker: number; phase: WorkerPhase; reason: string | undefined };
  /** When a worker thread has died; it is being replaced and its batch recovered. */
  "worker:died": { worker: number; reason: string };
  /** When a table's circuit breaker has opened, with the reason, or closed again. */
  "breaker:changed": { table: string; isOpen: boolean; reason: string | undefined };
};

/** A pool of threads that land buffered payloads in PostgreSQL. */
export interface DrainPool extends Component {
  readonly options: ResolvedDrainPoolOptions;
  /** What could not land: list it, replay it, discard it. */
  readonly deadLetters: DeadLetters;
  status(): DrainStatus;
  /**
   * Tells what has become of everything that this pool's buffer accepted in some hours: see `audit`.
   *
   * @throws {@link MillraceError} `CONFIG_INVALID`, `DRAIN_DATABASE_UNREACHABLE` or
   * `DRAIN_AUDIT_FAILED`.
   */
  audit(range?: AuditRange): Promise<AuditReport>;
  on<Name extends keyof DrainEvents>(
    event: Name,
    listener: Listener<DrainEvents[Name]>,
  ): () => void;
}

/**
 * Creates a pool of worker threads that claim batches from a buffer and land them, each in one
 * transaction with its entry in the ledger: nothing is lost and nothing doubled, whatever is killed
 * when. Starts whether or not PostgreSQL answers, and creates the tables as soon as it does.
 *
 * @throws {@link MillraceError} `CONFIG_INVALID` for bad options; `start` throws
 * `DRAIN_WORKER_FAILED` when a thread cannot run at all.
 * @example
 * ```ts
 * import { createBuffer } from "@millrace/core/buffer";
 * import { createDrainPool, postgres } from "@millrace/drain";
 * import { nightwatch } from "@millrace/drain/nightwatch";
 *
 * const buffer = createBuffer({ path: "telemetry/buffer.db" });
 * export const pool = createDrainPool({
 *   buffer,
 *   destination: postgres({ connectionString: "postgres://app@127.0.0.1:5432/telemetry" }),
 *   schema: nightwatch(),
 * });
 * ```
 */
export function createDrainPool(options: DrainPoolOptions): DrainPool {
  return new ThreadPool(parseOptions(drainPoolOptionsSchema, options, "createDrainPool"));
}

/** Longest wait for a lock, in milliseconds. */
const MAX_LOCK_WAIT_MS = 10_000;
const MIN_LOCK_WAIT_MS = 500;
const STARTING_PHASES: ReadonlySet<string> = new Set(["starting", "connecting"]);

class ThreadPool extends LifecycleComponent implements DrainPool {
  readonly name = "drain";
  readonly options: ResolvedDrainPoolOptions;
  readonly #logger: Logger;
  readonly #throttle: LogThrottle;
  readonly #emitter: TypedEmitter<DrainEvents>;
  protected readonly lifecycle: Lifecycle;
  readonly #counters = createCounters();
  readonly #maintenance = createMaintenanceCounts();
  readonly #maintenanceLog: MaintenanceLog;
  readonly #workers: DrainWorkerStatus[] = [];
  readonly #openBreakers = new OpenBreakers();
  readonly #tuner: DrainTuner;
  readonly deadLetters: DeadLetters;
  #handles: WorkerHandle[] = [];
  #lastLandedAt: number | undefined;
  #startedAt = 0;
  #isWaiting = false;
  #onFirstNews: (() => void) | undefined;
  #startFailure: Error | undefined;

  constructor(options: ResolvedDrainPoolOptions) {
    super();
    this.options = options;
    const { destination, schema, maxInflatedBytes } = options;
    this.#tuner = new DrainTuner({
      concurrency: options.concurrency,
      maxConnections: Math.min(options.maxConnections ?? options.workers, options.workers),
      batchRows: options.batchRows,
      polite: options.polite,
      readPendingRows: () => options.buffer.status().pendingRows,
    });
    this.#logger = options.logger ?? defaultLogger();
    const logger = this.#logger;
    this.deadLetters = createDeadLetters({ destination, schema, maxInflatedBytes, logger });
    this.#throttle = new LogThrottle(this.#logger);
    this.#maintenanceLog = new MaintenanceLog(this.#logger);
    this.#emitter = new TypedEmitter((error) =>
      this.#logger.error({ err: error }, "a drain listener threw"),
    );
    this.lifecycle = new Lifecycle({
      name: this.name,
      open: async (closers, signal) => {
        const owner = this.options.buffer.registerOwner();
        closers.push(() => owner.release());
        closers.push(() => this.deadLetters.close());
        closers.push(
          publishLetterMetrics(this.options.metrics ?? defaultMetrics, this.deadLetters),
        );
        closers.push(this.#openBreakers.publish(this.options.metrics ?? defaultMetrics));
        closers.push(
          publishDrainMetrics(this.options.metrics ?? defaultMetrics, this.#counters, () =>
            this.#countPhases(),
          ),
        );
        closers.push(
          publishMaintenanceMetrics(this.options.metrics ?? defaultMetrics, this.#maintenance),
        );
        closers.push(stallMetric(this.options.metrics ?? defaultMetrics, () => this.#findStall()));
        closers.push(
          publishTunerMetrics(this.options.metrics ?? defaultMetrics, () => this.#tuner.status),
        );
        closers.push(this.#tuner.start());
        closers.push(() => Promise.all(this.#handles.map((handle) => handle.stop())));
        this.#startedAt = Date.now();
        await this.#startWorkers(owner, signal);
      },
      drain: async (signal) => {
        await Promise.all(this.#handles.map((handle) => handle.drain(signal)));
      },
    });
  }

  on<Name extends keyof DrainEvents>(
    event: Name,
    listener: Listener<DrainEvents[Name]>,
  ): () => void {
    return this.#emitter.on(event, listener);
  }

  status(): DrainStatus {
    return {
      ...structuredClone(this.#counters),
      workers: this.#workers.map((worker) => ({ ...worker })),
      concurrency: this.#tuner.status,
      partitions: { ...this.#maintenance },
      openBreakers: this.#openBreakers.list(),
      lastLandedAt: this.#lastLandedAt,
    };
  }

  async audit(range: AuditRange = {}): Promise<AuditReport> {
    const { buffer, destination, schema } = this.options;
    const resolved = parseOptions(auditRangeSchema, range, "pool.audit");
    return audit({ ...resolved, destination, schema, bufferPaths: [buffer.options.path] });
  }

  health(): Health {
    if (this.state !== "running") return { healthy: true };
    return this.#findStall() ?? this.#healthy();
  }

  #findStall() {
    if (this.state !== "running") return undefined;
    const { rows, pendingRows, oldestPendingAt } = this.options.buffer.status();
    return findStall({
      rows,
      pendingRows,
      idleSince: Math.max(this.#lastLandedAt ?? 0, this.#startedAt, oldestPendingAt ?? 0),
      workers: this.#workers,
      silentMs: (worker) => this.#handles[worker]?.silentMs ?? 0,
      stallMs: this.options.stallMs,
      now: Date.now(),
    });
  }

  /** A breaker that is open holds nothing up, and no restart would close it: it is a remark. */
  #healthy(): Health {
    const reason = this.#openBreakers.describe();
    return reason === undefined ? { healthy: true } : { healthy: true, reason };
  }

  /** Resolves once each worker has reached PostgreSQL, or has found that it cannot. */
  async #startWorkers(owner: BufferOwner, signal: AbortSignal): Promise<void> {
    const { buffer, destination, schema, workers, workerHeapMib, workerSilenceMs } = this.options;
    const { batchBytes, batchWaitMs, maxInflatedBytes } = this.options;
    const drainSchema = asDrainSchema(schema);
    for (let worker = 0; worker < workers; worker++) {
      const input: WorkerInput = {
        path: buffer.options.path,
        durability: buffer.options.durability,
        owner: owner.owner,
        turns: owner.turns,
        worker,
        destination,
        schema: drainSchema,
        limits: { batchBytes, batchWaitMs, maxInflatedBytes },
        permits: this.#tuner.permits.memory,
        polite: this.options.polite,
        lockTimeoutMs: lockTimeoutFor(this.options.stallMs),
        heapMib: workerHeapMib,
        breakerRows: this.options.breakerRows,
      };
      this.#workers.push(startingWorker(worker));
      this.#handles.push(
        new WorkerHandle({
          input,
          silenceMs: workerSilenceMs,
          onMessage: (message) => this.#onMessage(worker, message),
          onDeath: (reason) => this.#onDeath(owner, worker, reason),
        }),
      );
    }
    const allReported = new Promise<void>((resolve) => {
      this.#onFirstNews = () => {
        const isReady = this.#workers.every(({ phase }) => !STARTING_PHASES.has(phase));
        if (isReady || this.#startFailure !== undefined || signal.aborted) resolve();
      };
      signal.addEventListener("abort", this.#onFirstNews, { once: true });
    });
    for (const handle of this.#handles) handle.start();
    await allReported;
    this.#onFirstNews = undefined;
    if (this.#startFailure !== undefined) throw this.#startFailure;
  }

  #onMessage(worker: number, message: WorkerMessage): void {
    count(this.#counters, message);
    this.#tuner.observe(message);
    if (message.type === "landed") {
      this.#lastLandedAt = Date.now();
      const status = this.#workers[worker];
      if (status !== undefined) status.since = this.#lastLandedAt;
      const letters = message.deadLetters.reduce((sum, [, rows]) => sum + rows, 0);
      if (letters > 0) {
        this.#throttle.warn(
          "dead letters",
          () => ({ worker, deadLetters: Object.fromEntries(message.deadLetters) }),
          "some records became dead letters: see millrace_dead_letters",
        );
      }
      const { payloads, seconds } = message;
      this.#emitter.emit("batch:landed", { worker, payloads, deadLetters: letters, seconds });
    } else if (message.type === "maintained") {
      addMaintenance(this.#maintenance, message);
      this.#maintenanceLog.add(message);
    } else if (message.type === "phase") {
      this.#enter(worker, message);
    } else if (message.type === "breaker") {
      this.#changeBreaker(worker, message);
    }
  }

  #changeBreaker(worker: number, change: BreakerChange): void {
    const { table } = change;
    const news = this.#openBreakers.change(worker, change);
    if (news === undefined) return;
    if (news === "closed") {
      this.#logger.info({ table }, "a table takes rows again");
      this.#emitter.emit("breaker:changed", { table, isOpen: false, reason: undefined });
      return;
    }
    const reason = describeBreaker(news);
    this.#logger.error({ table, message: news.message }, reason);
    this.#emitter.emit("breaker:changed", { table, isOpen: true, reason });
  }

  #onDeath(owner: BufferOwner, worker: number, reason: string): void {
    this.#counters.workerDeaths++;
    this.#tuner.permits.revoke(worker);
    try {
      owner.countCrash(worker);
    } catch (error) {
      // A full disk, or a lock that is held: the batch is tried again as if nothing had died.
      this.#logger.warn({ worker, reason: messageOf(error) }, "could not count a worker's death");
    }
    const hadReported = this.#workers[worker]?.phase !== "starting";
    this.#workers[worker] = startingWorker(worker);
    for (const table of this.#openBreakers.forget(worker)) {
      this.#emitter.emit("breaker:changed", { table, isOpen: false, reason: undefined });
    }
    // One that ran and then died may have met a payload that kills: no reason not to start.
    if (this.state === "starting" && !hadReported) {
      this.#startFailure = new MillraceError(
        "DRAIN_WORKER_FAILED",
        `drain worker ${worker} died while starting (${reason}): see what it lacks, memory or the schema module for one, and start again`,
        { details: { worker } },
      );
      this.#onFirstNews?.();
      return;
    }
    this.#logger.error({ worker, reason }, "drain worker died: another takes over its batch");
    this.#emitter.emit("worker:died", { worker, reason });
  }

  /** One log line when batches stop landing and one when they land again. */
  #enter(worker: number, { phase, reason, code }: Extract<WorkerMessage, { type: "phase" }>): void {
    const before = this.#workers[worker]?.phase;
    const since = before === phase ? (this.#workers[worker]?.since ?? 0) : Date.now();
    this.#workers[worker] = { worker, phase, reason, code, since };
    this.#onFirstNews?.();
    const isWaiting = this.#workers.some((status) => status.phase === "waiting");
    if (isWaiting && !this.#isWaiting) {
      this.#logger.warn({ reason }, "batches do not land: buffering");
    } else if (!isWaiting && this.#isWaiting) {
      this.#logger.info("batches land again");
    }
    this.#isWaiting = isWaiting;
    if ((before === "waiting") !== (phase === "waiting")) {
      this.#emitter.emit("worker:changed", { worker, phase, reason });
    }
  }

  #countPhases(): Record<string, number> {
    const phases: Record<string, number> = {};
    for (const { phase } of this.#workers) phases[phase] = (phases[phase] ?? 0) + 1;
    return phases;
  }
}

function startingWorker(worker: number): DrainWorkerStatus {
  return { worker, phase: "starting", reason: undefined, code: undefined, since: Date.now() };
}

/** Shorter than a stall: what holds the lock up is known by then. */
function lockTimeoutFor(stallMs: number): number {
  return Math.min(MAX_LOCK_WAIT_MS, Math.max(MIN_LOCK_WAIT_MS, Math.round(stallMs / 2)));
}
