import type { Server } from "node:net";
import type { TlsOptions } from "node:tls";
import { addressRuleSchema, configInvalid } from "@millrace/core";
import * as z from "zod";

/** A socket that is bound already, by another process or another part of this one. */
export type ListenFrom =
  /** A `net.Server`, as `process.on("message")` hands one over. Closed with the ingest server. */
  | { handle: Server }
  /** Number of an inherited file descriptor: 3 is the first that systemd or a parent passes on. */
  | { fd: number };

/** Where the server listens, and from whom it takes connections. */
export interface ListenOptions {
  /** Address to listen on. @default "127.0.0.1" */
  host?: string | undefined;
  /** Port to listen on; 0 takes a free one, see `address()`. @default 2407 */
  port?: number | undefined;
  /** Path of a Unix socket to listen on, instead of `host` and `port`. */
  socket?: string | undefined;
  /** Permissions of the Unix socket; connecting takes the right to write. @default 0o660 */
  socketMode?: number | undefined;
  /**
   * Lets several processes of one user listen on the same port (`SO_REUSEPORT`); the kernel deals
   * connections out. One that closes resets those that it has not accepted yet.
   *
   * @default false
   */
  reusePort?: boolean | undefined;
  /** A socket that is bound already, instead of `host`, `port` and `socket`. */
  listen?: ListenFrom | undefined;
  /** Speaks TLS, with what `createServer` of `node:tls` takes; `requestCert` and `ca` for mutual TLS. */
  tls?: TlsOptions | undefined;
  /** Addresses and CIDR ranges that may connect. @default [], which is everybody */
  allow?: string[] | undefined;
  /** Addresses and CIDR ranges that may not connect, even if `allow` has them. @default [] */
  deny?: string[] | undefined;
  /**
   * How often the server sends itself a `PING` through its own socket, in milliseconds; 0 never.
   * Two unanswered in a row make it unhealthy; the second comes a second after the first.
   *
   * @default 5_000; 0 with `reusePort` or `listen`, where another process may answer
   */
  probeIntervalMs?: number | undefined;
}

export const tlsSchema = z
  .custom<TlsOptions>(
    (value) => isObject(value) && ["cert", "pfx", "SNICallback"].some((key) => key in value),
    "expected options of node:tls with key and cert, or pfx",
  )
  .meta({ secret: true });

/** The fields of {@link ListenOptions}; which of them exclude each other: {@link assertOneAddress}. */
export const listenShape = {
  host: z.string().min(1).default("127.0.0.1"),
  port: z.int().min(0).max(65_535).default(2407),
  socket: z.string().min(1).optional(),
  socketMode: z.int().min(0).max(0o777).default(0o660),
  reusePort: z.boolean().default(false),
  listen: z
    .union([
      z.strictObject({ handle: z.custom<Server>((value) => isObject(value) && "listen" in value) }),
      z.strictObject({ fd: z.int().min(0) }),
    ])
    .optional(),
  tls: tlsSchema.optional(),
  allow: z.array(addressRuleSchema).default([]),
  deny: z.array(addressRuleSchema).default([]),
  probeIntervalMs: z.int().min(0).max(86_400_000).optional(),
};

/** Pairs of which one makes the other meaningless. */
const CONFLICTS = [
  ["socket", "host"],
  ["socket", "port"],
  ["socket", "reusePort"],
  ["socket", "listen"],
  ["socket", "tls"],
  ["socket", "allow"],
  ["socket", "deny"],
  ["listen", "host"],
  ["listen", "port"],
  ["listen", "reusePort"],
] as const satisfies ReadonlyArray<readonly [keyof ListenOptions, keyof ListenOptions]>;

/**
 * Looks at what the caller wrote, since defaults cannot be told from it later.
 *
 * @throws {@link MillraceError} `CONFIG_INVALID` naming both options.
 */
export function assertOneAddress(written: ListenOptions, owner: string): void {
  const isSet = (key: keyof ListenOptions) => written[key] !== undefined && written[key] !== false;
  const problems = CONFLICTS.filter(([first, second]) => isSet(first) && isSet(second)).map(
    ([first, second]) => ({ path: second, problem: `excludes ${first}: set one of the two` }),
  );
  if (problems.length > 0) throw configInvalid(owner, problems);
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}
