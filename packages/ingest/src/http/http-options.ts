import type { TlsOptions } from "node:tls";
import { addressRuleSchema } from "@millrace/core";
import * as z from "zod";
import { tlsSchema } from "../listening/listen-options.ts";

/**
 * How much an HTTP client may ask of the server, where that is not what a TCP client may. Sizes are
 * bytes, times are milliseconds.
 */
export interface IngestHttpLimits {
  /** Open connections, counted apart from those over TCP. @default the server's, counted together */
  maxConnections?: number | undefined;
  /** Open connections from one address, 0 for no limit of its own. @default the server's */
  maxConnectionsPerAddress?: number | undefined;
  /** Largest body, as sent; up to `limits.maxUnfinishedBytes`. @default `limits.maxFrameBytes` less 11 */
  maxBodyBytes?: number | undefined;
  /** From opening a connection, or from a request's first byte, to its whole header. @default the server's */
  headerTimeoutMs?: number | undefined;
  /** For a whole request, however steadily it drips. @default `limits.frameTimeoutMs` */
  requestTimeoutMs?: number | undefined;
  /** From an answer to the next request. @default the server's */
  idleTimeoutMs?: number | undefined;
}

/**
 * Where `POST /v1/ingest`, `/v1/logs` and `/v1/traces` are served, and to whom. Tokens, their rates,
 * memory and pressure are the server's own.
 */
export interface IngestHttpOptions {
  /** Address to listen on. @default the server's `host` */
  host?: string | undefined;
  /** Port to listen on; 0 takes a free one, see `httpAddress()`. @default 2408 */
  port?: number | undefined;
  /** Path of a Unix socket to listen on, instead of `host` and `port`. */
  socket?: string | undefined;
  /** Permissions of the Unix socket; connecting takes the right to write. @default 0o600 */
  socketMode?: number | undefined;
  /** Speaks TLS, as `createServer` of `node:tls` takes it; `false` does not. @default the server's; none on a Unix socket */
  tls?: TlsOptions | false | undefined;
  /** Addresses and CIDR ranges that may connect. @default the server's */
  allow?: string[] | undefined;
  /** Addresses and CIDR ranges that may not connect, even if `allow` has them. @default the server's */
  deny?: string[] | undefined;
  limits?: IngestHttpLimits | undefined;
}

const timeoutMs = z.int().positive().max(86_400_000).optional();

const shape = z.strictObject({
  host: z.string().min(1).optional(),
  port: z.int().min(0).max(65_535).optional(),
  socket: z.string().min(1).optional(),
  socketMode: z.int().min(0).max(0o777).optional(),
  tls: z.union([z.literal(false), tlsSchema]).optional(),
  allow: z.array(addressRuleSchema).optional(),
  deny: z.array(addressRuleSchema).optional(),
  limits: z
    .strictObject({
      maxConnections: z.int().positive().optional(),
      maxConnectionsPerAddress: z.int().min(0).optional(),
      maxBodyBytes: z.int().positive().optional(),
      headerTimeoutMs: timeoutMs,
      requestTimeoutMs: timeoutMs,
      idleTimeoutMs: timeoutMs,
    })
    .optional(),
});

export const httpSchema = z.union([z.boolean(), shape]).default(false);
