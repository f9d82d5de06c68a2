import { configInvalid } from "@millrace/core";
import * as z from "zod";

/**
 * Where a copy of each stored payload goes: `host` and `port` of a server that speaks the same
 * protocol, or the `url` of an HTTP endpoint. Sizes are bytes, times are milliseconds.
 */
export interface MirrorUpstream {
  /** For metrics and `status()`; unique among the upstreams. */
  name: string;
  /** TCP: host of the upstream. */
  host?: string | undefined;
  /** TCP: port of the upstream. @default 2407 */
  port?: number | undefined;
  /** TCP: token to send. @default the token that the payload came with, by its name */
  token?: string | undefined;
  /** HTTP: each payload is the body of one POST; any 2xx answer will do, redirects will not. */
  url?: string | undefined;
  /** HTTP: headers to add, such as `authorization`. */
  headers?: Record<string, string> | undefined;
  /**
   * How long the upstream may take: for each step (connecting, taking bytes, answering) over TCP,
   * for the whole request over HTTP.
   *
   * @default 500 for TCP, 5_000 for HTTP
   */
  timeoutMs?: number | undefined;
  /** Copies on their way at a time. @default 8 */
  concurrency?: number | undefined;
  /** Memory in copies that wait or are on their way; beyond it the oldest are dropped. @default 16 MiB */
  maxQueueBytes?: number | undefined;
}

const upstreamSchema = z
  .strictObject({
    name: z.string().min(1),
    host: z.string().min(1).optional(),
    port: z.int().min(1).max(65_535).optional(),
    token: z.string().min(1).meta({ secret: true }).optional(),
    url: z.url({ protocol: /^https?$/ }).optional(),
    headers: z.record(z.string(), z.string().meta({ secret: true })).optional(),
    timeoutMs: z.int().positive().max(86_400_000).optional(),
    concurrency: z.int().positive().max(1_024).default(8),
    maxQueueBytes: z
      .int()
      .positive()
      .default(16 * 1024 * 1024),
  })
  .superRefine((upstream, context) => {
    const refuse = (path: string, message: string) =>
      context.addIssue({ code: "custom", path: [path], message });
    if ((upstream.host === undefined) === (upstream.url === undefined)) {
      refuse("host", "set either host, for TCP, or url, for HTTP");
      return;
    }
    const foreign =
      upstream.url === undefined ? (["headers"] as const) : (["port", "token"] as const);
    for (const key of foreign) {
      if (upstream[key] === undefined) continue;
      refuse(key, `does not go with ${upstream.url === undefined ? "host" : "url"}`);
    }
  });

/** Validates the upstreams of a mirror and fills in defaults. */
export const mirrorSchema = z.array(upstreamSchema).superRefine((upstreams, context) => {
  const names = new Set<string>();
  for (const [index, { name }] of upstreams.entries()) {
    if (names.has(name)) {
      context.addIssue({ code: "custom", path: [index, "name"], message: "is taken by another" });
    }
    names.add(name);
  }
});

/** {@link MirrorUpstream} after defaults. */
export type ResolvedMirrorUpstream = z.output<typeof upstreamSchema>;

/**
 * The hash of a token that is not configured is not kept, so a server that takes any token cannot
 * pass them on. The official agent would acknowledge a copy with another one, and discard it.
 *
 * @throws {@link MillraceError} `CONFIG_INVALID`.
 */
export function assertMirrorTokens(
  upstreams: readonly ResolvedMirrorUpstream[],
  serverTokens: readonly unknown[],
): void {
  if (serverTokens.length > 0) return;
  const problems = upstreams.flatMap(({ url, token }, index) =>
    url === undefined && token === undefined
      ? [{ path: `mirror.${index}.token`, problem: "set it, or set the server's tokens" }]
      : [],
  );
  if (problems.length > 0) throw configInvalid("createIngestServer", problems);
}
