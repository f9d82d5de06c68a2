import { createServer, type Server, type Socket } from "node:net";
import {
  createServer as createTlsServer,
  type Server as TlsServer,
  type TlsOptions,
} from "node:tls";
import { messageOf, MillraceError } from "@millrace/core";
import type { IngestErrorCode } from "../errors.ts";
import type { LingeringClose } from "../lingering-close.ts";
import type { RefusalReason } from "../refusal.ts";
import type { Admission } from "./admission.ts";
import { listen } from "./listen.ts";
import type { BoundAddress, ListenTarget } from "./listen-address.ts";

/** Over the limits, this many at a time are let down gently; beyond them connections are cut. */
const MAX_TURNED_AWAY = 256;
/** Replies that a client may leave unread in our memory before we stop reading its frames. */
const UNREAD_REPLY_BYTES = 16 * 1024;

export interface AcceptorOptions extends ListenTarget {
  /** Acceptors of one server share it, so that its limits hold over all of them together. */
  admission: Admission;
  maxConnections: number;
  tls?: TlsOptions | undefined;
  handshakeTimeoutMs: number;
  lingering: LingeringClose;
}

export interface AcceptorHandlers {
  /** For each connection that the kernel hands over or drops, whatever becomes of it. */
  onAccepted(): void;
  /** Ready for frames: admitted, and its handshake done. */
  onConnection(socket: Socket): void;
  onRefused(reason: RefusalReason, remoteAddress: string | undefined): void;
  /** What a connection that may not come in is told. */
  refusalText(reason: RefusalReason): string;
  onSocketError(error: Error): void;
  /** The listener itself is in trouble, as when file handles run out. */
  onListenerError(error: Error): void;
  /** Whether this is the server's own probe, which every rule lets in and no limit counts. */
  isOwnProbe(socket: Socket): boolean;
}

/** Listens, and hands on the connections that may come in. */
export class Acceptor {
  readonly #options: AcceptorOptions;
  readonly #handlers: AcceptorHandlers;
  readonly #admission: Admission;
  readonly #server: Server;
  readonly #tls: TlsServer | undefined;
  /** The probe has no certificate to show. */
  readonly #probeTls: TlsServer | undefined;
  #stopped: Promise<void> | undefined;

  /** @throws {@link MillraceError} `INGEST_TLS_INVALID`. */
  constructor(options: AcceptorOptions, handlers: AcceptorHandlers) {
    this.#options = options;
    this.#handlers = handlers;
    this.#admission = options.admission;
    this.#server = createServer({
      allowHalfOpen: true,
      noDelay: true,
      highWaterMark: UNREAD_REPLY_BYTES,
    });
    this.#server.maxConnections = options.maxConnections + MAX_TURNED_AWAY;
    if (options.tls !== undefined) {
      this.#tls = this.#createTls(options.tls);
      this.#probeTls = this.#createTls({ ...options.tls, requestCert: false });
    }
  }

  /** @throws {@link MillraceError} `INGEST_LISTEN_FAILED` or `INGEST_REUSE_PORT_UNSUPPORTED`. */
  async listen(): Promise<BoundAddress> {
    this.#server.on("connection", (socket) => this.#accept(socket));
    this.#server.on("drop", (address) => {
      this.#handlers.onAccepted();
      this.#handlers.onRefused("too_many_connections", address?.remoteAddress);
    });
    const address = await listen(this.#server, this.#options);
    this.#server.on("error", (error) => this.#handlers.onListenerError(error));
    return address;
  }

  /** Accepts no more; resolves when every connection has closed too. */
  stop(): Promise<void> {
    this.#stopped ??= new Promise((resolve) => this.#server.close(() => resolve()));
    return this.#stopped;
  }

  destroyAll(): void {
    this.#admission.destroyAll();
    this.#options.lingering.destroyAll();
  }

  #accept(socket: Socket): void {
    this.#handlers.onAccepted();
    socket.on("error", (error) => this.#handlers.onSocketError(error));
    if (this.#handlers.isOwnProbe(socket)) {
      this.#open(socket, this.#probeTls);
      return;
    }
    const refusal = this.#admission.refusal(socket);
    if (refusal !== undefined) {
      this.#handlers.onRefused(refusal, socket.remoteAddress);
      this.#turnAway(socket, refusal);
      return;
    }
    this.#admission.admit(socket);
    this.#open(socket, this.#tls);
  }

  #open(socket: Socket, tls: TlsServer | undefined): void {
    if (tls === undefined) this.#handlers.onConnection(socket);
    // https://nodejs.org/api/tls.html#event-connection: it may be emitted to inject a connection.
    else tls.emit("connection", socket);
  }

  #turnAway(socket: Socket, reason: RefusalReason): void {
    const { tls, lingering } = this.#options;
    const text = this.#handlers.refusalText(reason);
    if (tls !== undefined) socket.destroy();
    else if (reason !== "address" && lingering.size < MAX_TURNED_AWAY) lingering.add(socket, text);
    // Strangers must not hold the places of others: their reply may be overtaken by a reset.
    else socket.end(text, "latin1", () => socket.destroy());
  }

  #createTls(options: TlsOptions): TlsServer {
    const { handshakeTimeoutMs } = this.#options;
    try {
      const server = createTlsServer({ ...options, handshakeTimeout: handshakeTimeoutMs });
      server.on("secureConnection", (socket) => {
        socket.on("error", (error) => this.#handlers.onSocketError(error));
        this.#handlers.onConnection(socket);
      });
      server.on("tlsClientError", (_, socket) => {
        this.#handlers.onRefused("tls", socket.remoteAddress);
        socket.destroy();
      });
      return server;
    } catch (error) {
      throw new MillraceError<IngestErrorCode>(
        "INGEST_TLS_INVALID",
        `the tls options cannot be used (${messageOf(error)}): check that key and cert are PEM, and belong together`,
        { cause: error },
      );
    }
  }
}
