import type { AddressInfo, Server } from "node:net";
import { messageOf, MillraceError } from "@millrace/core";
import type { IngestErrorCode } from "./errors.ts";

/**
 * Connections that may wait in the kernel to be accepted (it applies its own `somaxconn` too).
 * Node's default of 511 overflows when every payload is a connection; a dropped SYN is sent again
 * after a second, and the client gives up after half of one.
 */
const BACKLOG = 4_096;

/** Where a server listens. */
export interface ListenAddress {
  host: string;
  port: number;
}

/** @throws {@link MillraceError} `INGEST_LISTEN_FAILED`. */
export async function listen(server: Server, wanted: ListenAddress): Promise<ListenAddress> {
  await new Promise<void>((resolve, reject) => {
    const onError = (error: Error) => reject(listenFailed(error, wanted));
    server.once("error", onError);
    server.listen({ ...wanted, backlog: BACKLOG }, () => {
      server.off("error", onError);
      resolve();
    });
  });
  const { address, port } = server.address() as AddressInfo;
  return { host: address, port };
}

function listenFailed(error: unknown, { host, port }: ListenAddress) {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return new MillraceError<IngestErrorCode>(
    "INGEST_LISTEN_FAILED",
    `cannot listen on ${host}:${port} (${messageOf(error)}): ${wayOut(code, port)}`,
    { cause: error, details: { host, port, code }, retryable: code === "EADDRINUSE" },
  );
}

function wayOut(code: unknown, port: number): string {
  switch (code) {
    case "EADDRINUSE":
      return `another process has port ${port}, stop it (on Linux "ss -ltnp" names it) or set another port`;
    case "EACCES":
      return "ports below 1024 need the right to bind them, set a higher port";
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
      return "set host to an address of this machine, or to 0.0.0.0 for all of them";
    default:
      return "check host and port";
  }
}
