import { createServer, type Server, type Socket } from "node:net";
import {
  type CloseOptions,
  type CloserStack,
  type Component,
  defaultLogger,
  defaultMetrics,
  type Health,
  Lifecycle,
  type Listener,
  type Logger,
  LogThrottle,
  MillraceError,
  parseOptions,
  type StartOptions,
  TypedEmitter,
} from "@millrace/core";
import { createTokenStore } from "./auth/token-store.ts";
import { ByteBudget } from "./byte-budget.ts";
import { Connection, type ConnectionContext } from "./connection.ts";
import { REFUSED } from "./framing/replies.ts";
import { IngestCounters } from "./ingest-counters.ts";
import {
  type IngestOptions,
  ingestOptionsSchema,
  type ResolvedIngestLimits,
  type ResolvedIngestOptions,
} from "./ingest-options.ts";
import { LingeringClose } from "./lingering-close.ts";
import { listen, type ListenAddress } from "./listen.ts";
import { publishIngestMetrics } from "./metrics.ts";
import { assertMirrorTokens } from "./mirror/mirror-options.ts";
import { Mirror } from "./mirror/mirror.ts";
import type { MirrorUpstreamStatus } from "./mirror/upstream-mirror.ts";
import { type RefusalReason, REFUSALS } from "./refusal.ts";

/** Counters of a server since it was created, and what it holds now. */
export interface IngestStatus {
  openConnections: number;
  connections: number;
  /** Connections that broke: resets, broken pipes. */
  socketErrors: number;
  /** Stored and acknowledged. */
  payloads: number;
  payloadBytes: number;
  pings: number;
  refusals: Record<RefusalReason, number>;
  /** Memory in frames that are being received or not yet answered. */
  unfinishedBytes: number;
  /** By the name of the upstream. */
  mirror: Record<string, MirrorUpstreamStatus>;
}

/** Events of an {@link IngestServer}. */
export type IngestEvents = {
  /** When a frame was answered with `5:ERROR`. */
  "frame:refused": { reason: RefusalReason; remoteAddress: string | undefined };
  /** When a connection was turned away, or was ended because its peer took too long. */
  "connection:refused": { reason: RefusalReason; remoteAddress: string | undefined };
};

/** A TCP server that acknowledges payloads once a buffer has them. */
export interface IngestServer extends Component {
  readonly options: ResolvedIngestOptions;
  /**
   * Where it listens, with the port that `port: 0` took.
   *
   * @throws {@link MillraceError} `ILLEGAL_STATE` before it has started.
   */
  address(): ListenAddress;
  status(): IngestStatus;
  on<Name extends keyof IngestEvents>(
    event: Name,
    listener: Listener<IngestEvents[Name]>,
  ): () => void;
}

/**
 * Creates a server for the wire protocol of the Nightwatch client. Start the buffer before it and
 * close the buffer after it.
 *
 * @throws {@link MillraceError} `CONFIG_INVALID` for bad options. `start` throws
 * `INGEST_LISTEN_FAILED` or `INGEST_TOKENS_AMBIGUOUS`.
 * @example
 * ```ts
 * import { runUntilSignal } from "@millrace/core";
 * import { createBuffer } from "@millrace/core/buffer";
 * import { createIngestServer } from "@millrace/ingest";
 *
 * const buffer = createBuffer({ path: "telemetry/buffer.db" });
 * const ingest = createIngestServer({ buffer, tokens: [{ name: "shop", token: "secret" }] });
 * await runUntilSignal([buffer, ingest]);
 * ```
 */
export function createIngestServer(options: IngestOptions): IngestServer {
  const resolved = parseOptions(ingestOptionsSchema, options, "createIngestServer");
  assertMirrorTokens(resolved.mirror, resolved.tokens);
  return new TcpIngestServer(resolved);
}

/** Over the limit, this many at a time get a reply; beyond them connections are just dropped. */
const MAX_TURNED_AWAY = 256;
const SWEEP_MS = 250;
/** Replies that a client may leave unread in our memory before we stop reading its frames. */
const UNREAD_REPLY_BYTES = 16 * 1024;

class TcpIngestServer implements IngestServer {
  readonly name = "ingest";
  readonly options: ResolvedIngestOptions;
  readonly #logger: Logger;
  readonly #throttle: LogThrottle;
  readonly #lifecycle: Lifecycle;
  readonly #emitter: TypedEmitter<IngestEvents>;
  readonly #counters = new IngestCounters();
  readonly #budget: ByteBudget;
  readonly #lingering = new LingeringClose();
  readonly #connections = new Set<Connection>();
  #address: ListenAddress | undefined;
  #mirror: Mirror | undefined;
  #stopped: Promise<void> | undefined;

  constructor(options: ResolvedIngestOptions) {
    this.options = Object.freeze(options);
    this.#logger = options.logger ?? defaultLogger();
    this.#throttle = new LogThrottle(this.#logger);
    this.#budget = new ByteBudget(options.limits.maxUnfinishedBytes);
    this.#emitter = new TypedEmitter((error, event) =>
      this.#logger.error({ err: error, event }, "an ingest listener threw"),
    );
    let server: Server | undefined;
    this.#lifecycle = new Lifecycle({
      name: this.name,
      open: async (closers) => {
        server = await this.#open(closers);
      },
      drain: (signal) => (server === undefined ? undefined : this.#drain(server, signal)),
    });
  }

  get state() {
    return this.#lifecycle.state;
  }

  get closed() {
    return this.#lifecycle.closed;
  }

  start(options?: StartOptions): Promise<void> {
    return this.#lifecycle.start(options);
  }

  close(options?: CloseOptions): Promise<void> {
    return this.#lifecycle.close(options);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  on<Name extends keyof IngestEvents>(
    event: Name,
    listener: Listener<IngestEvents[Name]>,
  ): () => void {
    return this.#emitter.on(event, listener);
  }

  address(): ListenAddress {
    if (this.#address !== undefined) return { ...this.#address };
    throw new MillraceError("ILLEGAL_STATE", `ingest is ${this.state}: start it first`);
  }

  status(): IngestStatus {
    const { connections, socketErrors, payloads, payloadBytes, pings, refusals } = this.#counters;
    return {
      openConnections: this.#connections.size,
      connections,
      socketErrors,
      payloads,
      payloadBytes,
      pings,
      refusals: { ...refusals },
      unfinishedBytes: this.#budget.used,
      mirror: this.#mirror?.status() ?? {},
    };
  }

  health(): Health {
    const { maxConnections } = this.options.limits;
    return this.#connections.size < maxConnections
      ? { healthy: true }
      : { healthy: false, reason: `all ${maxConnections} connections are taken` };
  }

  async #open(closers: CloserStack): Promise<Server> {
    const { host, port, limits, pressure, metrics } = this.options;
    const mirror = await this.#openMirror(closers);
    const context = await this.#createContext(mirror);
    const server = createServer({
      allowHalfOpen: true,
      noDelay: true,
      highWaterMark: UNREAD_REPLY_BYTES,
    });
    server.maxConnections = limits.maxConnections + MAX_TURNED_AWAY;
    server.on("connection", (socket) => this.#accept(socket, context));
    server.on("drop", (address) => {
      this.#counters.connections++;
      this.#onRefused("too_many_connections", address?.remoteAddress);
    });
    this.#address = await listen(server, { host, port });
    closers.push(() => {
      const stopped = this.#stopListening(server);
      this.#destroyAll();
      return stopped;
    });
    // Running out of file handles shows here; the connections that are open go on.
    server.on("error", (error) =>
      this.#throttle.warn("accept", () => ({ err: error }), "cannot accept connections"),
    );
    const sweep = setInterval(() => this.#sweep(), sweepMs(limits));
    closers.push(() => clearInterval(sweep));
    const unsubscribe = pressure?.on("change", () => {
      for (const connection of this.#connections) connection.proceed();
    });
    closers.push(() => unsubscribe?.());
    closers.push(
      publishIngestMetrics(metrics ?? defaultMetrics, {
        counters: this.#counters,
        budget: this.#budget,
        limits,
        openConnections: () => this.#connections.size,
      }),
    );
    this.#logger.info({ ...this.#address }, "ingest listens");
    return server;
  }

  async #openMirror(closers: CloserStack): Promise<Mirror> {
    const { mirror: upstreams, tokens, metrics } = this.options;
    const mirror = await Mirror.create({ upstreams, tokens, logger: this.#logger });
    this.#mirror = mirror;
    closers.push(() => mirror.close(AbortSignal.abort()));
    closers.push(mirror.publish(metrics ?? defaultMetrics));
    return mirror;
  }

  async #createContext(mirror: Mirror): Promise<ConnectionContext> {
    const { buffer, limits, pressure, tokens } = this.options;
    const whenClosed = buffer.options.whenFull === "block" ? "wait" : "refuse";
    return {
      buffer,
      limits,
      tokens: await createTokenStore(tokens),
      budget: this.#budget,
      counters: this.#counters,
      lingering: this.#lingering,
      mirror,
      intake: () => (pressure?.pressure === "closed" ? whenClosed : "take"),
      onRefused: (reason, remoteAddress) => this.#onRefused(reason, remoteAddress),
      onClosed: (connection) => this.#connections.delete(connection),
    };
  }

  #accept(socket: Socket, context: ConnectionContext): void {
    this.#counters.connections++;
    socket.on("error", (error) => {
      this.#counters.socketErrors++;
      this.#logger.debug({ err: error }, "a client's connection broke");
    });
    if (this.#connections.size < context.limits.maxConnections) {
      this.#connections.add(new Connection(socket, context));
      return;
    }
    this.#onRefused("too_many_connections", socket.remoteAddress);
    this.#lingering.add(socket, REFUSED);
  }

  #onRefused(reason: RefusalReason, remoteAddress: string | undefined): void {
    const { subject, message } = REFUSALS[reason];
    this.#counters.refusals[reason]++;
    this.#throttle.warn(
      reason,
      () => ({ reason, remoteAddress }),
      `${subject} refused: ${message}`,
    );
    this.#emitter.emit(`${subject}:refused`, { reason, remoteAddress });
  }

  /** One timer for all connections: with one connection a payload, one timer each would cost. */
  #sweep(): void {
    const now = performance.now();
    for (const connection of this.#connections) connection.checkTimeouts(now);
    this.#lingering.sweep(now);
  }

  async #drain(server: Server, signal: AbortSignal): Promise<void> {
    const stopped = this.#stopListening(server);
    // What has come already is read in the turn that is under way: those frames are in hand too.
    await new Promise((resolve) => setImmediate(resolve));
    for (const connection of this.#connections) connection.finish();
    const destroyAll = () => this.#destroyAll();
    if (signal.aborted) destroyAll();
    signal.addEventListener("abort", destroyAll, { once: true });
    await stopped;
    signal.removeEventListener("abort", destroyAll);
    await this.#mirror?.close(signal);
  }

  /** Resolves when every connection has closed too. */
  #stopListening(server: Server): Promise<void> {
    this.#stopped ??= new Promise((resolve) => server.close(() => resolve()));
    return this.#stopped;
  }

  #destroyAll(): void {
    for (const connection of this.#connections) connection.destroy();
    this.#lingering.destroyAll();
  }
}

function sweepMs({ headerTimeoutMs, frameTimeoutMs, idleTimeoutMs }: ResolvedIngestLimits): number {
  const shortest = Math.min(headerTimeoutMs, frameTimeoutMs, idleTimeoutMs);
  return Math.min(SWEEP_MS, Math.ceil(shortest / 4));
}
