import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { CloserStack } from "../closer-stack.ts";
import type { CloseOptions, Component, Health, StartOptions } from "../component.ts";
import { parseOptions } from "../config.ts";
import { messageOf, MillraceError } from "../errors.ts";
import { Lifecycle } from "../lifecycle.ts";
import { defaultLogger, type Logger } from "../logger.ts";
import { defaultMetrics } from "../metrics.ts";
import {
  type OpsServerOptions,
  opsServerOptionsSchema,
  type ResolvedOpsServerOptions,
} from "./ops-options.ts";
import { createOpsPages, type OpsPage } from "./ops-pages.ts";

/** Serves health and metrics over HTTP. */
export interface OpsServer extends Component {
  readonly options: ResolvedOpsServerOptions;
  /** Where it listens; undefined when it does not. */
  address(): { host: string; port: number } | undefined;
  /** The same pages, to mount in a server of your own. */
  fetch(request: Request): Response | Promise<Response>;
}

/**
 * Creates the HTTP server of an application's health (`/healthz`, `/readyz`) and metrics
 * (`/metrics`). It asks for no token: keep it on loopback or a private network.
 *
 * @throws {@link MillraceError} `CONFIG_INVALID`; `start` throws `OPS_LISTEN_FAILED`.
 * @example
 * ```ts
 * import { createOpsServer } from "@millrace/core/ops";
 *
 * const ops = createOpsServer({ components: [], port: 0 });
 * await ops.start();
 * console.log(ops.address());
 * await ops.close();
 * ```
 */
export function createOpsServer(options: OpsServerOptions): OpsServer {
  const resolved = parseOptions(opsServerOptionsSchema, options, "createOpsServer");
  const logger = resolved.logger ?? defaultLogger();
  const pages = createOpsPages(resolved.components, resolved.metrics ?? defaultMetrics, logger);
  let address: AddressInfo | undefined;
  const lifecycle = new Lifecycle({
    name: "ops",
    async open(closers) {
      closers.push(() => {
        address = undefined;
      });
      address = await listen(pages, resolved, logger, closers);
    },
  });
  return {
    name: "ops",
    options: resolved,
    fetch: async ({ method, url }) => {
      const { status, contentType, body } = await pages(method, new URL(url).pathname);
      const headers = { "content-type": contentType };
      return new Response(method === "HEAD" ? null : body, { status, headers });
    },
    address: () => address && { host: address.address, port: address.port },
    get state() {
      return lifecycle.state;
    },
    start: (startOptions?: StartOptions) => lifecycle.start(startOptions),
    close: (closeOptions?: CloseOptions) => lifecycle.close(closeOptions),
    closed: lifecycle.closed,
    health: (): Health => ({ healthy: true }),
    [Symbol.asyncDispose]: () => lifecycle.close(),
  };
}

async function listen(
  pages: (method: string, path: string) => Promise<OpsPage>,
  { host, port }: ResolvedOpsServerOptions,
  logger: Logger,
  closers: CloserStack,
): Promise<AddressInfo> {
  // An import would read its WebSocket, and load all of undici with it: docs/decisions/0013.
  const { createServer } = process.getBuiltinModule("node:http");
  const server = createServer((request, response) => void answer(request, response, pages));
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, host, () => resolve());
    });
    server.removeAllListeners("error");
    server.on("error", (error) => logger.error({ err: error }, "the ops server had an error"));
  } catch (error) {
    throw new MillraceError(
      "OPS_LISTEN_FAILED",
      `the ops server cannot listen on ${host}:${port} (${messageOf(error)}): choose another port`,
      { cause: error, details: { host, port } },
    );
  }
  closers.push(
    () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );
  return server.address() as AddressInfo;
}

async function answer(
  { method = "GET", url = "/" }: IncomingMessage,
  response: ServerResponse,
  pages: (method: string, path: string) => Promise<OpsPage>,
): Promise<void> {
  // As a proxy asks, or without the address.
  const path = url.replace(/^https?:\/\/[^/?]*/i, "").split("?", 1)[0] ?? "/";
  const { status, contentType, body } = await pages(method, path);
  response.writeHead(status, {
    "content-type": contentType,
    "content-length": Buffer.byteLength(body),
  });
  response.end(method === "HEAD" ? undefined : body);
}
