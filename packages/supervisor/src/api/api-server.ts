import { chmodSync, unlinkSync } from "node:fs";
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
} from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { connect, isIPv6, type Socket } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { messageOf, MillraceError } from "@millrace/core";
import type { SupervisorErrorCode } from "../errors.ts";
import type { ResolvedApiOptions } from "../options/supervisor-options.ts";
import { isLoopback } from "./loopback.ts";

/** Answers a request; `peer` is the address that it came from, or what there is instead of one. */
export type AnswerRequest = (request: Request, bindings: { peer: string }) => Promise<Response>;

/** The management API on a socket. */
export interface ApiServer {
  /** `http://127.0.0.1:9180`, or `unix:` and a path. */
  url: string;
  close(): Promise<void>;
}

const DEFAULT_PORT = 9_180;
const SOCKET_MODE = 0o600;

/** @throws {@link MillraceError} `SUPERVISOR_API_UNPROTECTED`, `SUPERVISOR_API_LISTEN_FAILED` */
export async function openApiServer(
  answer: AnswerRequest,
  options: ResolvedApiOptions,
): Promise<ApiServer> {
  refuseUnprotected(options);
  const servers: Server[] = [];
  const open = async (
    listen: (server: Server) => Promise<void>,
    where: string,
    peerOf: (incoming: IncomingMessage) => string,
  ): Promise<void> => {
    const listener = getRequestListener((request, { incoming }) =>
      answer(request, { peer: peerOf(incoming as IncomingMessage) }),
    );
    const server = createServer(options, (incoming, outgoing) => void listener(incoming, outgoing));
    server.on("connection", (socket: Socket) => socket.unref());
    try {
      await listen(server);
    } catch (error) {
      await Promise.all(servers.map(closeServer));
      throw listenFailed(where, error);
    }
    server.unref();
    servers.push(server);
  };
  const { socket, host, port } = options;
  if (socket !== undefined) {
    await removeStaleSocket(socket);
    await open(
      (server) => listenOnSocket(server, socket),
      socket,
      () => "unix",
    );
  }
  if (socket === undefined || port !== undefined) {
    const where = `${host}:${port ?? DEFAULT_PORT}`;
    await open((server) => listenOnPort(server, options), where, addressOf);
  }
  const url = urlOf(servers.at(-1), options);
  return { url, close: async () => void (await Promise.all(servers.map(closeServer))) };
}

/** A peer that has gone again already has no address any more, and must not pass for a local one. */
function addressOf({ socket }: IncomingMessage): string {
  return socket.remoteAddress ?? "unknown";
}

function listenFailed(where: string, cause: unknown): MillraceError<SupervisorErrorCode> {
  return new MillraceError<SupervisorErrorCode>(
    "SUPERVISOR_API_LISTEN_FAILED",
    `the management API cannot listen on ${where} (${messageOf(cause)}): stop what is there, or set another api.port or api.socket`,
    { cause, details: { where } },
  );
}

function refuseUnprotected({ host, tokens, socket, port }: ResolvedApiOptions): void {
  const onSocket = socket !== undefined && port === undefined;
  if (onSocket || isLoopback(host) || tokens.length > 0) return;
  throw new MillraceError<SupervisorErrorCode>(
    "SUPERVISOR_API_UNPROTECTED",
    `the management API would let everyone on ${host} start and stop processes: set api.tokens, ` +
      "or listen on 127.0.0.1 or a Unix socket",
    { details: { host } },
  );
}

function createServer({ tls }: ResolvedApiOptions, listener: RequestListener): Server {
  if (tls === undefined) return createHttpServer(listener);
  const { key, cert, ca } = tls;
  const client = ca === undefined ? {} : { ca, requestCert: true, rejectUnauthorized: true };
  return createHttpsServer({ key, cert, minVersion: "TLSv1.2", ...client }, listener);
}

function listenOnPort(
  server: Server,
  { host, port = DEFAULT_PORT }: ResolvedApiOptions,
): Promise<void> {
  return listening(server, () => server.listen({ host, port }));
}

async function listenOnSocket(server: Server, path: string): Promise<void> {
  // The mode counts from the moment of bind, which listen does before it returns.
  const mask = process.umask(0o777 & ~SOCKET_MODE);
  const ready = listening(server, () => server.listen({ path }));
  process.umask(mask);
  await ready;
  chmodSync(path, SOCKET_MODE);
}

function listening(server: Server, listen: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.once("listening", () => {
      server.off("error", reject);
      resolve();
    });
    listen();
  });
}

/** Removes the socket of a supervisor that was killed, never that of one that answers. */
async function removeStaleSocket(path: string): Promise<void> {
  const answers = await new Promise<boolean>((resolve) => {
    const socket = connect({ path });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
  if (answers) return;
  try {
    unlinkSync(path);
  } catch {
    // There was none.
  }
}

function urlOf(server: Server | undefined, { tls }: ResolvedApiOptions): string {
  const address = server?.address() ?? null;
  if (address === null || typeof address === "string") return `unix:${address ?? ""}`;
  const host = isIPv6(address.address) ? `[${address.address}]` : address.address;
  return `${tls === undefined ? "http" : "https"}://${host}:${address.port}`;
}

/** Streams of events never end by themselves: they are cut. */
function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
