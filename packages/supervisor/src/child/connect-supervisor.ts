import { performance } from "node:perf_hooks";
import { type ChildMessage, parseSupervisorMessage } from "./protocol.ts";

/** What a drain may do. */
export interface DrainContext {
  /** When the supervisor loses patience, by `performance.now()`. */
  deadlineMs: number;
  /** Fires at the deadline. */
  signal: AbortSignal;
  /** Says how many jobs are still in hand. */
  progress: (busy: number) => void;
  /** Asks for more time, in milliseconds; the supervisor grants at most its stop timeout again. */
  extend: (byMs: number) => void;
}

/** What a child does for its supervisor. */
export interface ChildOptions {
  /** Finishes what is in hand; the process ends when it resolves. Also called on SIGTERM and SIGINT. */
  onDrain?: ((context: DrainContext) => Promise<void> | void) | undefined;
  /** End the process once drained. @default true */
  exitAfterDrain?: boolean | undefined;
  /** Drain and end when the supervisor is gone. @default true */
  exitOnDisconnect?: boolean | undefined;
}

/** A child's line to its supervisor. */
export interface SupervisorConnection {
  /** Whether there is a supervisor. */
  readonly connected: boolean;
  /** `queue-default-3`, where the supervisor said so. */
  readonly instanceId: string | undefined;
  readonly instanceNumber: number | undefined;
  /** Passes `ipc` startup and readiness probes. */
  ready(): void;
  /** Jobs in hand: the supervisor stops the idle first. */
  setBusy(count: number): void;
  /** Stops heartbeats and listeners; for tests and programs that end by themselves. */
  close(): void;
}

const DEFAULT_HEARTBEAT_MS = 1_000;
const ALONE_DEADLINE_MS = 25_000;

/** Connects this process to the supervisor that started it, if one did. */
export function connectSupervisor(options: ChildOptions = {}): SupervisorConnection {
  const connection = new ChildConnection(options);
  connection.open();
  return connection;
}

class ChildConnection implements SupervisorConnection {
  readonly instanceId = process.env["MILLRACE_INSTANCE_ID"];
  readonly instanceNumber = numberFrom(process.env["MILLRACE_INSTANCE_NUMBER"]);
  readonly #options: ChildOptions;
  readonly #onMessage = (message: unknown): void => {
    const request = parseSupervisorMessage(message);
    if (request !== undefined) void this.#drain(request.deadlineMs);
  };
  readonly #onSignal = (): void => void this.#drain(ALONE_DEADLINE_MS);
  readonly #onDisconnect = (): void => {
    if (this.#options.exitOnDisconnect !== false) void this.#drain(ALONE_DEADLINE_MS);
  };
  #timer: NodeJS.Timeout | undefined;
  #draining: Promise<void> | undefined;
  #busy = 0;
  #lastUtilisation = performance.eventLoopUtilization();

  constructor(options: ChildOptions) {
    this.#options = options;
  }

  get connected(): boolean {
    return process.send !== undefined && process.connected;
  }

  open(): void {
    process.once("SIGTERM", this.#onSignal);
    process.once("SIGINT", this.#onSignal);
    if (process.send === undefined) return;
    process.on("message", this.#onMessage);
    process.once("disconnect", this.#onDisconnect);
    // The channel must not keep a program alive that has nothing left to do; but a worker of a
    // cluster gets its port, and its connections, through it.
    if (process.env["MILLRACE_LISTEN_CLUSTER"] !== "1") process.channel?.unref();
    this.#send({ millrace: "hello" });
    const intervalMs = numberFrom(process.env["MILLRACE_HEARTBEAT_MS"]) ?? DEFAULT_HEARTBEAT_MS;
    this.#timer = setInterval(() => this.#beat(), intervalMs);
    this.#timer.unref();
    this.#beat();
  }

  ready(): void {
    this.#send({ millrace: "ready" });
  }

  setBusy(count: number): void {
    const wasIdle = this.#busy === 0;
    this.#busy = count;
    // The change that decides who may be stopped must not wait for the next beat.
    if (wasIdle !== (count === 0)) this.#beat();
  }

  close(): void {
    clearInterval(this.#timer);
    process.off("message", this.#onMessage);
    process.off("disconnect", this.#onDisconnect);
    process.off("SIGTERM", this.#onSignal);
    process.off("SIGINT", this.#onSignal);
  }

  #beat(): void {
    const utilisation = performance.eventLoopUtilization(this.#lastUtilisation).utilization;
    this.#lastUtilisation = performance.eventLoopUtilization();
    this.#send({ millrace: "heartbeat", busy: this.#busy, eventLoopUtilisation: utilisation });
  }

  #drain(timeoutMs: number): Promise<void> {
    this.#draining ??= this.#drainOnce(timeoutMs);
    return this.#draining;
  }

  async #drainOnce(timeoutMs: number): Promise<void> {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), timeoutMs);
    let exitCode = 0;
    try {
      await this.#options.onDrain?.({
        deadlineMs: performance.now() + timeoutMs,
        signal: abort.signal,
        progress: (busy) => this.#send({ millrace: "drain-progress", busy }),
        extend: (byMs) => this.#send({ millrace: "drain-extend", byMs }),
      });
    } catch {
      exitCode = 1;
    }
    clearTimeout(timer);
    this.#send({ millrace: "drained" });
    this.close();
    if (this.#options.exitAfterDrain !== false) process.exit(exitCode);
  }

  #send(message: ChildMessage): void {
    if (this.connected) process.send?.(message, undefined, undefined, () => {});
  }
}

function numberFrom(text: string | undefined): number | undefined {
  const value = Number(text);
  return text !== undefined && text !== "" && Number.isFinite(value) ? value : undefined;
}
