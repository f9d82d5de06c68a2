import type { Server } from "node:http";
import type { Socket } from "node:net";
import { rawRefusal } from "./http-replies.ts";
import { answerRequest, type HttpContext } from "./http-requests.ts";
import type { ResolvedHttpLimits } from "./resolve-http.ts";

export interface HttpIntakeOptions {
  context: HttpContext;
  limits: ResolvedHttpLimits;
  /** How often headers and bodies are looked at for being late, in milliseconds. */
  sweepMs: number;
}

/** Speaks HTTP on connections that an acceptor has let in. */
export class HttpIntake {
  readonly #server: Server;
  readonly #context: HttpContext;
  /** Requests not yet answered, by connection. */
  readonly #requests = new Map<Socket, number>();
  #isFinishing = false;

  constructor({ context, limits, sweepMs }: HttpIntakeOptions) {
    this.#context = context;
    // An import would read its WebSocket, and load all of undici with it: docs/decisions/0013.
    const { createServer } = process.getBuiltinModule("node:http");
    this.#server = createServer({
      headersTimeout: limits.headerTimeoutMs,
      requestTimeout: Math.max(limits.headerTimeoutMs, limits.requestTimeoutMs),
      keepAliveTimeout: limits.idleTimeoutMs,
      connectionsCheckingInterval: sweepMs,
    });
    this.#server.on("request", (request, response) => {
      const { socket } = request;
      this.#requests.set(socket, (this.#requests.get(socket) ?? 0) + 1);
      response.once("close", () => this.#onAnswered(socket));
      if (this.#isFinishing) response.shouldKeepAlive = false;
      answerRequest(request, response, context).catch((error: Error) => response.destroy(error));
    });
    this.#server.on("clientError", (error: NodeJS.ErrnoException, socket) =>
      this.#onClientError(error, socket as Socket),
    );
    // Nothing listens here: connections come from the acceptor. Node checks their timeouts only
    // from this event on.
    this.#server.emit("listening");
  }

  /** Takes over a connection. https://nodejs.org/api/http.html#event-connection */
  serve(socket: Socket): void {
    this.#requests.set(socket, 0);
    socket.once("close", () => this.#requests.delete(socket));
    this.#server.emit("connection", socket);
    if (this.#isFinishing) socket.destroySoon();
  }

  /** Ends each connection when its requests are answered; at once when there are none. */
  finish(): void {
    this.#isFinishing = true;
    for (const [socket, requests] of this.#requests) if (requests === 0) socket.destroySoon();
  }

  close(): void {
    // It never listened, so that this ends only its timer; the error says so.
    this.#server.close(() => {});
  }

  #onAnswered(socket: Socket): void {
    const requests = this.#requests.get(socket);
    if (requests === undefined) return;
    this.#requests.set(socket, requests - 1);
    if (this.#isFinishing && requests === 1) socket.destroySoon();
  }

  /** What is not HTTP, or came too slowly. */
  #onClientError(error: NodeJS.ErrnoException, socket: Socket): void {
    if (error.code === "ECONNRESET" || !socket.writable) {
      socket.destroy();
      return;
    }
    const isLate = error.code === "ERR_HTTP_REQUEST_TIMEOUT";
    const hasHeader = (this.#requests.get(socket) ?? 0) > 0;
    const reason = !isLate ? "bad_header" : hasHeader ? "frame_timeout" : "header_timeout";
    this.#context.late.add(socket);
    this.#context.onRefused(reason, socket.remoteAddress);
    socket.end(rawRefusal(reason), () => socket.destroy());
  }
}
