import type { Socket } from "node:net";
import {
  type CloserStack,
  defaultLogger,
  defaultMetrics,
  type Health,
  Lifecycle,
  LifecycleComponent,
  type Listener,
  type Logger,
  LogThrottle,
  MillraceError,
  parseOptions,
  TypedEmitter,
} from "@millrace/core";
import { TokenRates } from "./auth/token-rates.ts";
import { createBearerTokens } from "./auth/bearer-tokens.ts";
import { createTokenStore } from "./auth/token-store.ts";
import { ByteBudget } from "./byte-budget.ts";
import { Connection, type ConnectionContext } from "./connection.ts";
import type { IngestEvents, IngestServer, IngestStatus } from "./ingest-handle.ts";
import { IngestCounters } from "./ingest-counters.ts";
import {
  type IngestOptions,
  ingestOptionsSchema,
  type ResolvedIngestLimits,
  type ResolvedIngestOptions,
} from "./ingest-options.ts";
import { resolveHttp } from "./http/http-options.ts";
import { HttpIntake } from "./http/http-intake.ts";
import { rawRefusal } from "./http/http-replies.ts";
import { LingeringClose } from "./lingering-close.ts";
import { REFUSED } from "./framing/replies.ts";
import { Acceptor, type AcceptorHandlers } from "./listening/acceptor.ts";
import { Admission } from "./listening/admission.ts";
import type { BoundAddress, ListenAddress, ListenTarget } from "./listening/listen-address.ts";
import { assertOneAddress } from "./listening/listen-options.ts";
import type { SelfProbe } from "./listening/self-probe.ts";
import { startSelfProbe } from "./listening/start-self-probe.ts";
import { publishIngestMetrics } from "./metrics.ts";
import { assertMirrorTokens } from "./mirror/mirror-options.ts";
import { Mirror } from "./mirror/mirror.ts";
import { RefusalReports } from "./refusal-reports.ts";
import { UdpIntake } from "./udp/udp-intake.ts";

/**
 * Creates a server for the wire protocol of the Nightwatch client. Start the buffer before it and
 * close the buffer after it.
 *
 * @throws {@link MillraceError} `CONFIG_INVALID` for bad options. `start` throws
 * `INGEST_LISTEN_FAILED`, `INGEST_REUSE_PORT_UNSUPPORTED`, `INGEST_TLS_INVALID` or
 * `INGEST_TOKENS_AMBIGUOUS`.
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
  assertOneAddress(options, "createIngestServer");
  assertMirrorTokens(resolved.mirror, resolved.tokens);
  return new TcpIngestServer(resolved);
}

const SWEEP_MS = 250;
class TcpIngestServer extends LifecycleComponent implements IngestServer {
  readonly name = "ingest";
  readonly options: ResolvedIngestOptions;
  readonly #logger: Logger;
  readonly #throttle: LogThrottle;
  readonly #refusals: RefusalReports;
  protected readonly lifecycle: Lifecycle;
  readonly #emitter: TypedEmitter<IngestEvents>;
  readonly #counters = new IngestCounters();
  readonly #budget: ByteBudget;
  readonly #lingering = new LingeringClose();
  readonly #connections = new Set<Connection>();
  readonly #admission: Admission;
  readonly #acceptors: Acceptor[] = [];
  #http: HttpIntake | undefined;
  #httpAddress: BoundAddress | undefined;
  #udp: UdpIntake | undefined;
  #udpAddress: ListenAddress | undefined;
  #address: BoundAddress | undefined;
  #probe: SelfProbe | undefined;
  #mirror: Mirror | undefined;

  constructor(options: ResolvedIngestOptions) {
    super();
    this.options = Object.freeze(options);
    this.#logger = options.logger ?? defaultLogger();
    this.#throttle = new LogThrottle(this.#logger);
    this.#admission = new Admission({ ...options, ...options.limits });
    this.#budget = new ByteBudget(options.limits.maxUnfinishedBytes);
    this.#emitter = new TypedEmitter((error, event) =>
      this.#logger.error({ err: error, event }, "an ingest listener threw"),
    );
    this.#refusals = new RefusalReports({
      counters: this.#counters,
      logger: this.#logger,
      throttle: this.#throttle,
      emitter: this.#emitter,
    });
    this.lifecycle = new Lifecycle({
      name: this.name,
      open: (closers) => this.#open(closers),
      drain: (signal) => this.#drain(signal),
    });
  }

  on<Name extends keyof IngestEvents>(
    event: Name,
    listener: Listener<IngestEvents[Name]>,
  ): () => void {
    return this.#emitter.on(event, listener);
  }

  address(): ListenAddress {
    if (this.#address === undefined) {
      throw new MillraceError("ILLEGAL_STATE", `ingest is ${this.state}: start it first`);
    }
    if ("port" in this.#address) return { ...this.#address };
    throw new MillraceError("ILLEGAL_STATE", `ingest has no port, it is at ${this.#address.path}`);
  }

  httpAddress(): ListenAddress {
    if (this.#httpAddress !== undefined && "port" in this.#httpAddress) {
      return { ...this.#httpAddress };
    }
    throw new MillraceError("ILLEGAL_STATE", "ingest takes no HTTP: set http, and start it first");
  }

  udpAddress(): ListenAddress {
    if (this.#udpAddress !== undefined) return { ...this.#udpAddress };
    throw new MillraceError("ILLEGAL_STATE", "ingest takes no UDP: set udp, and start it first");
  }

  status(): IngestStatus {
    const { connections, socketErrors, payloads, payloadBytes, pings, refusals } = this.#counters;
    return {
      openConnections: this.#admission.openConnections,
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
    if (this.#admission.openConnections >= maxConnections) {
      return { healthy: false, reason: `all ${maxConnections} connections are taken` };
    }
    return this.#probe?.health() ?? { healthy: true };
  }

  async #open(closers: CloserStack): Promise<void> {
    const { limits, pressure, metrics } = this.options;
    const mirror = await this.#openMirror(closers);
    const context = await this.#createContext(mirror);
    this.#address = await this.#listen(this.options, closers, {
      onConnection: (socket) => this.#serve(socket, context),
      refusalText: () => REFUSED,
    });
    await this.#openHttp(context, closers);
    await this.#openUdp(context, closers);
    const sweep = setInterval(() => this.#sweep(), sweepMs(limits));
    closers.push(() => clearInterval(sweep));
    const unsubscribe = pressure?.on("change", () => {
      for (const connection of this.#connections) connection.proceed();
    });
    closers.push(() => unsubscribe?.());
    const probe = await startSelfProbe(this.options, this.#address, this.#logger);
    this.#probe = probe;
    closers.push(() => probe?.close());
    closers.push(
      publishIngestMetrics(metrics ?? defaultMetrics, {
        counters: this.#counters,
        budget: this.#budget,
        limits,
        openConnections: () => this.#admission.openConnections,
        probeOutcomes: () => probe?.outcomes ?? {},
      }),
    );
    this.#logger.info({ ...this.#address }, "ingest listens");
  }

  async #openHttp(context: ConnectionContext, closers: CloserStack): Promise<void> {
    const { limits, host, reusePort, tokens } = this.options;
    const target = resolveHttp(this.options.http);
    if (target === undefined) return;
    const nameOf = await createBearerTokens(tokens);
    const http = new HttpIntake({
      context: { ...context, nameOf, late: new WeakSet() },
      limits,
      sweepMs: sweepMs(limits),
    });
    this.#http = http;
    closers.push(() => http.close());
    const listenTarget = { port: target.port, host: target.host ?? host, socketMode: 0, reusePort };
    this.#httpAddress = await this.#listen(listenTarget, closers, {
      onConnection: (socket) => http.serve(socket),
      refusalText: rawRefusal,
    });
  }

  async #openUdp(context: ConnectionContext, closers: CloserStack): Promise<void> {
    const { udp, host: serverHost } = this.options;
    if (udp === undefined) return;
    const host = udp.host ?? serverHost;
    const mayConnect = (address: string) => this.#admission.mayConnect(address);
    const intake = new UdpIntake({ ...context, mayConnect }, host);
    this.#udp = intake;
    closers.push(() => intake.close());
    this.#udpAddress = await intake.bind(host, udp.port);
  }

  async #listen(
    target: ListenTarget,
    closers: CloserStack,
    handlers: Pick<AcceptorHandlers, "onConnection" | "refusalText">,
  ): Promise<BoundAddress> {
    const acceptor = this.#createAcceptor(target, handlers);
    const address = await acceptor.listen();
    this.#acceptors.push(acceptor);
    closers.push(() => {
      const stopped = acceptor.stop();
      acceptor.destroyAll();
      return stopped;
    });
    return address;
  }

  #createAcceptor(
    target: ListenTarget,
    handlers: Pick<AcceptorHandlers, "onConnection" | "refusalText">,
  ): Acceptor {
    const { limits, tls } = this.options;
    const options = {
      ...target,
      tls,
      admission: this.#admission,
      maxConnections: limits.maxConnections,
      handshakeTimeoutMs: limits.headerTimeoutMs,
      lingering: this.#lingering,
    };
    return new Acceptor(options, {
      onAccepted: () => this.#counters.connections++,
      ...handlers,
      onRefused: (reason, remoteAddress) =>
        this.#refusals.report({ reason, remoteAddress, token: undefined }),
      onSocketError: (error) => {
        this.#counters.socketErrors++;
        this.#logger.debug({ err: error }, "a client's connection broke");
      },
      // The connections that are open go on.
      onListenerError: (error) =>
        this.#throttle.warn("accept", () => ({ err: error }), "cannot accept connections"),
      isOwnProbe: (socket) => this.#probe?.isOwn(socket) ?? false,
    });
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
      rates: new TokenRates(tokens),
      onRefused: (reason, remoteAddress, token) =>
        this.#refusals.report({ reason, remoteAddress, token }),
      onClosed: (connection) => this.#connections.delete(connection),
    };
  }

  #serve(socket: Socket, context: ConnectionContext): void {
    const connection = new Connection(socket, context);
    this.#connections.add(connection);
    // A handshake may end when the server has begun to close.
    if (this.state === "draining") connection.finish();
  }

  /** One timer for all connections: with one connection a payload, one timer each would cost. */
  #sweep(): void {
    const now = performance.now();
    for (const connection of this.#connections) connection.checkTimeouts(now);
    this.#lingering.sweep(now);
  }

  async #drain(signal: AbortSignal): Promise<void> {
    this.#probe?.close();
    const stopped = Promise.all(this.#acceptors.map((acceptor) => acceptor.stop()));
    // What has come already is read in the turn that is under way: those frames are in hand too.
    await new Promise((resolve) => setImmediate(resolve));
    for (const connection of this.#connections) connection.finish();
    this.#http?.finish();
    const destroyAll = () => {
      for (const acceptor of this.#acceptors) acceptor.destroyAll();
    };
    if (signal.aborted) destroyAll();
    signal.addEventListener("abort", destroyAll, { once: true });
    await stopped;
    signal.removeEventListener("abort", destroyAll);
    await this.#udp?.close();
    await this.#mirror?.close(signal);
  }
}

function sweepMs({ headerTimeoutMs, frameTimeoutMs, idleTimeoutMs }: ResolvedIngestLimits): number {
  const shortest = Math.min(headerTimeoutMs, frameTimeoutMs, idleTimeoutMs);
  return Math.min(SWEEP_MS, Math.ceil(shortest / 4));
}
