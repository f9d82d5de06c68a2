import type { TlsOptions } from "node:tls";
import { configInvalid } from "@millrace/core";
import { FRAME_OVERHEAD_BYTES } from "../framing/frame-header.ts";
import type { ResolvedIngestOptions } from "../ingest-options.ts";
import type { ListenTarget } from "../listening/listen-address.ts";
import type { IngestHttpLimits } from "./http-options.ts";

const DEFAULT_HTTP_PORT = 2408;
const DEFAULT_SOCKET_MODE = 0o600;

/** {@link IngestHttpLimits} after defaults. */
export type ResolvedHttpLimits = { [Name in keyof IngestHttpLimits]-?: number };

/** Where HTTP is served, and to whom, after defaults. */
export interface ResolvedHttp {
  target: ListenTarget;
  tls: TlsOptions | undefined;
  allow: readonly string[];
  deny: readonly string[];
  limits: ResolvedHttpLimits;
  /** Whether its connections are let in and counted apart from those over TCP. */
  isApart: boolean;
}

/**
 * Undefined when HTTP is off.
 *
 * @throws {@link MillraceError} `CONFIG_INVALID` for options that exclude each other.
 */
export function resolveHttp(
  server: ResolvedIngestOptions,
  owner: string,
): ResolvedHttp | undefined {
  if (server.http === false) return undefined;
  const http = server.http === true ? {} : server.http;
  const { socket, limits: own = {} } = http;
  const { maxFrameBytes, frameTimeoutMs, maxUnfinishedBytes, ...shared } = server.limits;
  const isLocal = socket !== undefined;
  const limits = {
    maxConnections: own.maxConnections ?? shared.maxConnections,
    maxConnectionsPerAddress: own.maxConnectionsPerAddress ?? shared.maxConnectionsPerAddress,
    maxBodyBytes: own.maxBodyBytes ?? maxFrameBytes - FRAME_OVERHEAD_BYTES,
    headerTimeoutMs: own.headerTimeoutMs ?? shared.headerTimeoutMs,
    requestTimeoutMs: own.requestTimeoutMs ?? frameTimeoutMs,
    idleTimeoutMs: own.idleTimeoutMs ?? shared.idleTimeoutMs,
  };
  const problems = (["host", "port", "tls", "allow", "deny"] as const)
    .filter((other) => isLocal && http[other] !== undefined && http[other] !== false)
    .map((other) => ({
      path: `http.${other}`,
      problem: "excludes http.socket: set one of the two",
    }));
  if (limits.maxBodyBytes > maxUnfinishedBytes) {
    problems.push({
      path: "http.limits.maxBodyBytes",
      problem: "must be at most limits.maxUnfinishedBytes, or no body of that size could arrive",
    });
  }
  if (problems.length > 0) throw configInvalid(owner, problems);
  return {
    target: {
      host: http.host ?? server.host,
      port: http.port ?? DEFAULT_HTTP_PORT,
      socket,
      socketMode: http.socketMode ?? DEFAULT_SOCKET_MODE,
      reusePort: !isLocal && server.reusePort,
    },
    tls: isLocal || http.tls === false ? undefined : (http.tls ?? server.tls),
    allow: isLocal ? [] : (http.allow ?? server.allow),
    deny: isLocal ? [] : (http.deny ?? server.deny),
    limits,
    isApart:
      isLocal ||
      [http.allow, http.deny, own.maxConnections, own.maxConnectionsPerAddress].some(
        (option) => option !== undefined,
      ),
  };
}
