import { messageOf, MillraceError } from "@millrace/core";
import type { IngestErrorCode } from "../errors.ts";
import type { ListenTarget } from "./listen-address.ts";

/** What became of an attempt to listen, with the way out. */
export function listenFailed(error: unknown, target: ListenTarget): MillraceError<IngestErrorCode> {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (target.reusePort && (code === "ENOTSUP" || code === "ENOSYS")) {
    return new MillraceError(
      "INGEST_REUSE_PORT_UNSUPPORTED",
      `this platform cannot share port ${target.port} (${messageOf(error)}): leave reusePort out, and give each process its own port or an inherited socket (listen)`,
      { cause: error, details: { port: target.port, platform: process.platform } },
    );
  }
  const where = describe(target);
  return new MillraceError(
    "INGEST_LISTEN_FAILED",
    `cannot listen on ${where} (${messageOf(error)}): ${wayOut(code, target)}`,
    { cause: error, details: { where, code }, retryable: code === "EADDRINUSE" },
  );
}

function describe({ listen, socket, host, port }: ListenTarget): string {
  if (listen !== undefined) return "fd" in listen ? `file descriptor ${listen.fd}` : "the handle";
  return socket ?? `${host}:${port}`;
}

function wayOut(code: unknown, { listen, socket, port }: ListenTarget): string {
  if (listen !== undefined) return "pass a socket that is bound, and open in this process";
  if (socket !== undefined) return unixWayOut(code);
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

function unixWayOut(code: unknown): string {
  switch (code) {
    case "EADDRINUSE":
      return "another process answers there or the file is no socket, set another socket";
    case "EACCES":
    case "ENOENT":
      return "make the folder, and give this user the right to write to it";
    default:
      return "check socket; most systems allow about 100 characters";
  }
}
