import type { Socket } from "node:net";
import type { TlsOptions } from "node:tls";
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
import { IngestCounters, type Transport } from "./ingest-counters.ts";
import {
  type IngestOptions,
  ingestOptionsSchema,
  type ResolvedIngestLimits,
  type ResolvedIngestOptions,
} from "./ingest-options.ts";
import { type ResolvedHttp, resolveHttp } from "./http/resolve-http.ts";
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
  return new TcpIngestServer(resolved, resolveHttp(resolved, "createIngestServer"));
}

const SWEEP_MS = 250;

interface ListenerOptions extends ListenTarget {
  tls?: TlsOptions | undefined;
  admission: Admission;
  limits: Pick<ResolvedIngestLimits, "maxConnections" | "headerTimeoutMs">;
}

type ListenerHandlers = Pick<AcceptorHandlers, "onConnection" | "onRefused" | "refusalText">;

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
  readonly #httpOptions: ResolvedHttp | undefined;
  readonly #httpAdmission: Admission;
  #http: HttpIntake | undefined;
  #httpAddress: BoundAddress | undefined;
  #udp: UdpIntake | undefined;
  #udpAddress: ListenAddress | undefined;
  #address: BoundAddress | undefined;
  #probe: SelfProbe | undefined;
  #mirror: Mirror | undefined;

  constructor(options: ResolvedIngestOptions, http: ResolvedHttp | undefined) {
    super();
    this.options = Object.freeze(options);
    this.#logger = options.logger ?? defaultLogger();
    this.#throttle = new LogThrottle(this.#logger);
    this.#admission = new Admission({ ...options, ...options.limits });
    this.#httpOptions = http;
    this.#httpAdmission =
      http?.isApart === true ? new Admission({ ...http, ...http.limits }) : this.#admission;
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
    throw new MillraceError(
      "ILLEGAL_STATE",
      this.#httpAddress === undefined
        ? "ingest takes no HTTP: set http, and start it first"
        : `ingest has no HTTP port, it is at ${this.#httpAddress.path}`,
    );
  }

  udpAddress(): ListenAddress {
    if (this.#udpAddress !== undefined) return { ...this.#udpAddress };
    throw new MillraceError("ILLEGAL_STATE", "ingest takes no UDP: set udp, and start it first");
  }

  status(): IngestStatus {
    const { connections, socketErrors, payloads, payloadBytes, pings, refusals } = this.#counters;
    return {
      openConnections: this.#openConnections,
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
    for (const { openConnections, maxConnections } of this.#admissions) {
      if (openConnections < maxConnections) continue;
      return { healthy: false, reason: `all ${maxConnections} connections are taken` };
    }
    return this.#probe?.health() ?? { healthy: true };
  }

  async #open(closers: CloserStack): Promise<void> {
    const { limits, pressure, metrics } = this.options;
    const mirror = await this.#openMirror(closers);
    const context = await this.#createContext(mirror);
    this.#address = await this.#listen({ ...this.options, admission: this.#admission }, closers, {
      onConnection: (socket) => this.#serve(socket, context),
      onRefused: this.#refusalsOf("tcp"),
      refusalText: () => REFUSED,
    });
    await this.#openHttp(context, closers);
    await this.#openUdp(context, closers);
    const { headerTimeoutMs, frameTimeoutMs, idleTimeoutMs } = limits;
    const sweepEveryMs = sweepMs(headerTimeoutMs, frameTimeoutMs, idleTimeoutMs);
    const sweep = setInterval(() => this.#sweep(), sweepEveryMs);
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
        maxConnections: this.#admissions.reduce((sum, each) => sum + each.maxConnections, 0),
        openConnections: () => this.#openConnections,
        probeOutcomes: () => probe?.outcomes ?? {},
      }),
    );
    this.#logger.info({ ...this.#address }, "ingest listens");
  }

  async #openHttp(context: ConnectionContext, closers: CloserStack): Promise<void> {
    const options = this.#httpOptions;
    if (options === undefined) return;
    const { limits, tls, target } = options;
    const nameOf = await createBearerTokens(this.options.tokens);
    const http = new HttpIntake({
      context: {
        ...context,
        nameOf,
        maxBodyBytes: limits.maxBodyBytes,
        late: new WeakSet(),
        onRefused: this.#refusalsOf("http"),
      },
      limits,
      sweepMs: sweepMs(limits.headerTimeoutMs, limits.requestTimeoutMs, limits.idleTimeoutMs),
    });
    this.#http = http;
    closers.push(() => http.close());
    const listener = { ...target, tls, limits, admission: this.#httpAdmission };
    this.#httpAddress = await this.#listen(listener, closers, {
      onConnection: (socket) => http.serve(socket),
      onRefused: this.#refusalsOf("http"),
      refusalText: rawRefusal,
    });
  }

  async #openUdp(context: ConnectionContext, closers: CloserStack): Promise<void> {
    const { udp, host: serverHost } = this.options;
    if (udp === undefined) return;
    const host = udp.host ?? serverHost;
    const mayConnect = (address: string) => this.#admission.mayConnect(address);
    const onRefused = this.#refusalsOf("udp");
    const intake = new UdpIntake({ ...context, mayConnect, onRefused }, host);
    this.#udp = intake;
    closers.push(() => intake.close());
    this.#udpAddress = await intake.bind(host, udp.port);
  }

  async #listen(
    listener: ListenerOptions,
    closers: CloserStack,
    handlers: ListenerHandlers,
  ): Promise<BoundAddress> {
    const acceptor = this.#createAcceptor(listener, handlers);
    const address = await acceptor.listen();
    this.#acceptors.push(acceptor);
    closers.push(() => {
      const stopped = acceptor.stop();
      acceptor.destroyAll();
      return stopped;
    });
    return address;
  }

  #createAcceptor({ limits, ...listener }: ListenerOptions, handlers: ListenerHandlers): Acceptor {
    const options = {
      ...listener,
      maxConnections: limits.maxConnections,
      handshakeTimeoutMs: limits.headerTimeoutMs,
      lingering: this.#lingering,
    };
    return new Acceptor(options, {
      onAccepted: () => this.#counters.connections++,
      ...handlers,
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
      onRefused: this.#refusalsOf("tcp"),
      onClosed: (connection) => this.#connections.delete(connection),
    };
  }

  #refusalsOf(transport: Transport): ConnectionContext["onRefused"] {
    return (reason, remoteAddress, token) =>
      this.#refusals.report({ reason, remoteAddress, token }, transport);
  }

  get #admissions(): Admission[] {
    return [...new Set([this.#admission, this.#httpAdmission])];
  }

  get #openConnections(): number {
    return this.#admissions.reduce((sum, { openConnections }) => sum + openConnections, 0);
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

function sweepMs(...timeoutsMs: number[]): number {
  return Math.min(SWEEP_MS, Math.ceil(Math.min(...timeoutsMs) / 4));
}
