/** A request of the management API, from whichever server it came. */
export interface ApiRequest {
  method: string;
  /** Without the query. */
  path: string;
  query: URLSearchParams;
  /** The host that the client asked for, without port. */
  hostname: string;
  /** Address of the peer itself, never of a header that it sent. */
  peer: string;
  /** Fires when the client is gone. */
  signal: AbortSignal;
  /** A header by its lower-case name. */
  header(name: string): string | undefined;
  /** @throws ApiError 413 when there is more than `maxBytes` */
  readBody(maxBytes: number): Promise<string>;
}

/** The answer to one. */
export interface ApiAnswer {
  status: number;
  headers: Record<string, string>;
  body: string | ReadableStream<Uint8Array>;
}

/** Answers requests; never rejects. */
export type ApiResponder = (request: ApiRequest) => Promise<ApiAnswer>;

export function answerJson(value: object, status = 200): ApiAnswer {
  return {
    status,
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(value),
  };
}
