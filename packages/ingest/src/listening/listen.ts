import { chmodSync } from "node:fs";
import type { ListenOptions as NodeListenOptions, Server } from "node:net";
import type { BoundAddress, ListenTarget } from "./listen-address.ts";
import { listenFailed } from "./listen-error.ts";
import type { ListenFrom } from "./listen-options.ts";
import { removeStaleSocket } from "./unix-socket.ts";

/**
 * Connections that may wait in the kernel to be accepted (it applies its own `somaxconn` too).
 * Node's default of 511 overflows when every payload is a connection; a dropped SYN is sent again
 * after a second, and the client gives up after half of one.
 */
const BACKLOG = 4_096;

/** @throws {@link MillraceError} `INGEST_LISTEN_FAILED` or `INGEST_REUSE_PORT_UNSUPPORTED`. */
export async function listen(server: Server, target: ListenTarget): Promise<BoundAddress> {
  try {
    if (target.listen !== undefined) await takeOver(server, target.listen);
    else if (target.socket !== undefined)
      await listenOnSocket(server, target.socket, target.socketMode);
    else {
      const { host, port, reusePort } = target;
      await bind(server, { host, port, reusePort });
    }
  } catch (error) {
    throw listenFailed(error, target);
  }
  const bound = server.address();
  if (bound === null || typeof bound === "string") return { path: bound ?? "" };
  return { host: bound.address, port: bound.port };
}

async function listenOnSocket(server: Server, path: string, mode: number): Promise<void> {
  await removeStaleSocket(path);
  await bind(server, { path });
  try {
    chmodSync(path, mode);
  } catch (error) {
    server.close();
    throw error;
  }
}

function takeOver(server: Server, from: ListenFrom): Promise<void> {
  return listening(server, () =>
    server.listen("handle" in from ? from.handle : { fd: from.fd }, BACKLOG),
  );
}

function bind(server: Server, options: NodeListenOptions): Promise<void> {
  return listening(server, () => server.listen({ ...options, backlog: BACKLOG }));
}

function listening(server: Server, start: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.once("listening", () => {
      server.off("error", reject);
      resolve();
    });
    start();
  });
}
