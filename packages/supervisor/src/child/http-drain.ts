import type { Server as HttpServer, ServerResponse } from "node:http";
import { Server as NetServer } from "node:net";

/** Limits of a drain. */
export interface HttpDrainOptions {
  /** Connections still open after this time are closed, in milliseconds. @default 25_000 */
  timeoutMs?: number | undefined;
}

const DEFAULT_TIMEOUT_MS = 25_000;
// Past the server's own keep-alive timeout, after which it has said good-bye to idle connections.
const IDLE_MARGIN_MS = 1_000;

/**
 * Ends an HTTP server without failing a request: it stops accepting, answers `Connection: close` on
 * every live connection, and closes idle ones only after their keep-alive timeout has passed.
 *
 * `server.close()` alone closes idle connections at once, and resets a request that is already on its
 * way on one of them.
 */
export async function drainHttpServer(
  server: HttpServer,
  { timeoutMs = DEFAULT_TIMEOUT_MS }: HttpDrainOptions = {},
): Promise<void> {
  // In front of the application: it may send headers at once.
  server.prependListener("request", (_, response: ServerResponse) => {
    response.shouldKeepAlive = false;
  });
  const closed = new Promise<void>((resolve) => {
    // net.Server's own close stops listening and nothing else.
    NetServer.prototype.close.call(server, () => resolve());
  });
  const idle = setTimeout(
    () => server.closeIdleConnections(),
    server.keepAliveTimeout + IDLE_MARGIN_MS,
  );
  const force = setTimeout(() => server.closeAllConnections(), timeoutMs);
  await closed;
  clearTimeout(idle);
  clearTimeout(force);
}
