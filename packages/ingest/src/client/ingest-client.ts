import {
  type CloseOptions,
  type CloserStack,
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
  parseOptions,
  TypedEmitter,
} from "@millrace/core";
import { tokenHash } from "../auth/token-hash.ts";
import { publishClientMetrics } from "./client-metrics.ts";
import { type DropReason, DropTally } from "./drop-tally.ts";
import { encodeRecord } from "./encode-record.ts";
import {
  type IngestClientOptions,
  ingestClientOptionsSchema,
  type ResolvedIngestClientOptions,
} from "./ingest-client-options.ts";
import type { IngestClientStatus } from "./ingest-client-status.ts";
import { Outbox } from "./outbox.ts";
import { type ClientConnectionState, Sender } from "./sender.ts";

/** Events of an {@link IngestClient}. */
export type IngestClientEvents = {
  /** When records were lost; those of one turn of the event loop come together. */
  "records:dropped": { reason: DropReason; records: number };
  /** When the connection changed its state; `reason` is for people. */
  "connection:changed": { connection: ClientConnectionState; reason: string | undefined };
};

/** How long {@link IngestClient.flush} waits. */
export interface FlushOptions {
  /** In milliseconds. @default 10_000 */
  timeoutMs?: number | undefined;
}

/** Sends records to an ingest server in the background; see {@link createIngestClient}. */
export interface IngestClient extends Component {
  readonly options: ResolvedIngestClientOptions;
  /**
   * Takes one record or several for sending. It encodes them now, so that later changes to them do
   * not matter, and does no I/O. Never throws: what cannot be taken is dropped and counted.
   *
   * @returns whether all of them were taken.
   */
  send(records: object | readonly object[]): boolean;
  /**
   * Sends what was taken so far without waiting for full batches. Never rejects.
   *
   * @returns whether all of it was acknowledged in time. What was not is still tried.
   */
  flush(options?: FlushOptions): Promise<boolean>;
  status(): IngestClientStatus;
  on<Name extends keyof IngestClientEvents>(
    event: Name,
    listener: Listener<IngestClientEvents[Name]>,
  ): () => void;
}

/**
 * Creates a client that batches records, keeps one connection, reconnects, and never gets in its
 * caller's way. Records sent before `start` wait for it. A started client does not keep the
 * process alive: `close` it before the process ends, or what it holds is lost.
 *
 * @throws {@link MillraceError} `CONFIG_INVALID` for bad options.
 * @example
 * ```ts
 * import { createIngestClient } from "@millrace/ingest";
 *
 * const telemetry = createIngestClient({ port: 2407, token: "secret" });
 * await telemetry.start();
 * telemetry.send({ v: 1, t: "log", timestamp: Date.now() / 1000, level: "info", message: "hello" });
 * await telemetry.close({ graceMs: 2_000 });
 * ```
 */
export function createIngestClient(options: IngestClientOptions): IngestClient {
  return new BatchingIngestClient(
    parseOptions(ingestClientOptionsSchema, options, "createIngestClient"),
  );
}

const DEFAULT_FLUSH_TIMEOUT_MS = 10_000;

class BatchingIngestClient extends LifecycleComponent implements IngestClient {
  readonly name = "ingest-client";
  readonly options: ResolvedIngestClientOptions;
  readonly #logger: Logger;
  readonly #throttle: LogThrottle;
  protected readonly lifecycle: Lifecycle;
  readonly #emitter: TypedEmitter<IngestClientEvents>;
  readonly #drops: DropTally;
  readonly #outbox: Outbox;
  #sender: Sender | undefined;
  #delayTimer: NodeJS.Timeout | undefined;
  #isPumpScheduled = false;
  #isTaking = true;
  #sentRecords = 0;

  constructor(options: ResolvedIngestClientOptions) {
    super();
    this.options = Object.freeze(options);
    this.#logger = options.logger ?? defaultLogger();
    this.#throttle = new LogThrottle(this.#logger);
    this.#emitter = new TypedEmitter((error, event) =>
      this.#logger.error({ err: error, event }, "an ingest client's listener threw"),
    );
    this.#drops = new DropTally((reason, records) => this.#reportDrops(reason, records));
    this.#outbox = new Outbox({
      ...options,
      onDropped: (reason, records) => this.#drops.add(reason, records),
      onReady: () => this.#schedulePump(),
    });
    this.lifecycle = new Lifecycle({
      name: this.name,
      open: (closers) => this.#open(closers),
      drain: (signal) => this.#drain(signal),
    });
    void this.closed.then(() => this.#dropRest());
  }

  override close(options?: CloseOptions): Promise<void> {
    this.#isTaking = false;
    return this.lifecycle.close(options);
  }

  on<Name extends keyof IngestClientEvents>(
    event: Name,
    listener: Listener<IngestClientEvents[Name]>,
  ): () => void {
    return this.#emitter.on(event, listener);
  }

  send(records: object | readonly object[]): boolean {
    try {
      if (!Array.isArray(records)) return this.#take(records);
      let areTaken = true;
      for (const record of records as readonly unknown[]) {
        if (!this.#take(record)) areTaken = false;
      }
      return areTaken;
    } catch (error) {
      // Even the list may be a proxy that throws.
      this.#sentRecords++;
      return this.#refuse("unencodable", error);
    }
  }

  async flush({ timeoutMs = DEFAULT_FLUSH_TIMEOUT_MS }: FlushOptions = {}): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<boolean>((resolve) => {
      timer = setTimeout(() => resolve(false), timeoutMs);
    });
    try {
      return await Promise.race([this.#outbox.settled(), timeout]);
    } finally {
      clearTimeout(timer);
    }
  }

  status(): IngestClientStatus {
    return {
      connection: this.#sender?.state ?? "disconnected",
      sentRecords: this.#sentRecords,
      acknowledgedRecords: this.#outbox.acknowledgedRecords,
      droppedRecords: { ...this.#drops.counts },
      bufferedRecords: this.#outbox.bufferedRecords,
      bufferedBytes: this.#outbox.bufferedBytes,
      unansweredBatches: this.#outbox.unansweredBatches,
      refusedBatches: this.#sender?.refusedBatches ?? 0,
    };
  }

  health(): Health {
    const failure = this.#sender?.failure;
    return failure === undefined
      ? { healthy: true }
      : { healthy: false, reason: `cannot deliver: ${failure}` };
  }

  #take(record: unknown): boolean {
    this.#sentRecords++;
    if (!this.#isTaking) return this.#refuse("closed");
    const encoded = encodeRecord(record);
    if ("problem" in encoded) return this.#refuse("unencodable", encoded.problem);
    const outcome = this.#outbox.add(encoded.text);
    if (outcome !== "taken") return this.#refuse(outcome);
    if (this.#outbox.hasOpenRecords) this.#startDelay();
    return true;
  }

  #refuse(reason: DropReason, problem?: unknown): false {
    this.#drops.add(reason, 1);
    if (problem !== undefined) this.#explain(problem);
    return false;
  }

  /** What a record's own code threw may be anything, even something that cannot be shown. */
  #explain(problem: unknown): void {
    try {
      const why = messageOf(problem);
      this.#throttle.warn("unencodable", () => ({ why }), "a record cannot be encoded as JSON");
    } catch {
      // It is counted all the same.
    }
  }

  #startDelay(): void {
    this.#delayTimer ??= setTimeout(() => {
      this.#delayTimer = undefined;
      if (this.#outbox.hasOpenRecords) this.#outbox.markOpenDue();
    }, this.options.maxBatchDelayMs).unref();
  }

  /** The socket is written to a turn later, not in the caller's `send`. */
  #schedulePump(): void {
    if (this.#isPumpScheduled || this.#sender === undefined) return;
    this.#isPumpScheduled = true;
    setImmediate(() => {
      this.#isPumpScheduled = false;
      this.#sender?.pump();
    });
  }

  async #open(closers: CloserStack): Promise<void> {
    // Last of all: whoever awaits `close` has been told of every drop.
    closers.push(async () => {
      this.#dropRest();
      await new Promise((resolve) => setImmediate(resolve));
    });
    const sender = new Sender({
      options: this.options,
      tokenHash: await tokenHash(this.options.token),
      outbox: this.#outbox,
      onChanged: (connection, reason) => this.#onConnectionChanged(connection, reason),
    });
    this.#sender = sender;
    closers.push(() => sender.stop());
    closers.push(publishClientMetrics(this.options.metrics ?? defaultMetrics, () => this.status()));
    this.#schedulePump();
  }

  async #drain(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      void this.#outbox.settled().then(() => resolve());
      if (signal.aborted) resolve();
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
  }

  #dropRest(): void {
    this.#isTaking = false;
    clearTimeout(this.#delayTimer);
    this.#outbox.dropAll();
  }

  #onConnectionChanged(connection: ClientConnectionState, reason: string | undefined): void {
    if (connection === "waiting") {
      this.#throttle.warn(
        "connection",
        () => ({ reason, bufferedRecords: this.#outbox.bufferedRecords }),
        `cannot deliver to ${this.options.host}:${this.options.port}, trying again`,
      );
    }
    this.#emitter.emit("connection:changed", { connection, reason });
  }

  #reportDrops(reason: DropReason, records: number): void {
    this.#throttle.warn(`dropped ${reason}`, () => ({ reason, records }), "records were dropped");
    this.#emitter.emit("records:dropped", { reason, records });
  }
}
