import type { Pool } from "undici";
import type { SendResult, UpstreamLink } from "./upstream-link.ts";

/** Of an answer's body: more is not worth reading for keeping the connection. */
const MAX_ANSWER_BYTES = 64 * 1024;

/** Failures of connecting: the request has not been sent. */
const CONNECT_CODES = new Set([
  "EAI_AGAIN",
  "ECONNREFUSED",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "UND_ERR_CONNECT_TIMEOUT",
]);

export interface HttpLinkOptions {
  url: string;
  headers: Record<string, string>;
  timeoutMs: number;
  concurrency: number;
}

/** Sends each payload as the body of a POST, over kept connections. */
export class HttpLink implements UpstreamLink {
  readonly #options: HttpLinkOptions;
  readonly #pool: Pool;
  readonly #path: string;

  private constructor(options: HttpLinkOptions, pool: Pool) {
    const { pathname, search } = new URL(options.url);
    this.#options = options;
    this.#path = pathname + search;
    this.#pool = pool;
  }

  /** Loads undici, which those who mirror nothing over HTTP need not pay for. */
  static async create(options: HttpLinkOptions): Promise<HttpLink> {
    const { Pool } = await import("undici");
    const pool = new Pool(new URL(options.url).origin, {
      connections: options.concurrency,
      connect: { timeout: options.timeoutMs },
    });
    return new HttpLink(options, pool);
  }

  async send(payload: Uint8Array): Promise<SendResult> {
    // undici's own timeouts do not cover a server that stops reading the request.
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), this.#options.timeoutMs);
    try {
      const { statusCode, body } = await this.#pool.request({
        method: "POST",
        path: this.#path,
        headers: { ...describe(payload), ...this.#options.headers },
        body: payload,
        signal: abort.signal,
      });
      await body.dump({ limit: MAX_ANSWER_BYTES, signal: abort.signal });
      return statusCode >= 200 && statusCode < 300 ? "delivered" : "refused";
    } catch (error) {
      if (abort.signal.aborted) return "timed_out";
      const code = error instanceof Error && "code" in error ? error.code : undefined;
      return CONNECT_CODES.has(String(code)) ? "unreachable" : "broken";
    } finally {
      clearTimeout(timer);
    }
  }

  destroy(): Promise<void> {
    return this.#pool.destroy();
  }
}

function describe(payload: Uint8Array): Record<string, string> {
  const isGzip = payload[0] === 0x1f && payload[1] === 0x8b;
  return {
    "content-type": "application/json",
    ...(isGzip ? { "content-encoding": "gzip" } : {}),
  };
}
