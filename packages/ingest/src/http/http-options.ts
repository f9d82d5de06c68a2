import * as z from "zod";

/**
 * Where `POST /v1/ingest`, `/v1/logs` and `/v1/traces` are served. TLS, tokens, limits, `allow` and
 * `deny` are the server's own.
 */
export interface IngestHttpOptions {
  /** Address to listen on. @default the server's `host` */
  host?: string | undefined;
  /** Port to listen on; 0 takes a free one, see `httpAddress()`. @default 2408 */
  port?: number | undefined;
}

const DEFAULT_HTTP_PORT = 2408;

const shape = z.strictObject({
  host: z.string().min(1).optional(),
  port: z.int().min(0).max(65_535).default(DEFAULT_HTTP_PORT),
});

export const httpSchema = z.union([z.boolean(), shape]).default(false);

/** Undefined when HTTP is off. */
export function resolveHttp(
  http: z.output<typeof httpSchema>,
): { host?: string | undefined; port: number } | undefined {
  if (http === false) return undefined;
  return http === true ? { port: DEFAULT_HTTP_PORT } : http;
}
