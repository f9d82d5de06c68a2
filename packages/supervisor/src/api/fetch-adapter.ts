import { bodyTooLarge } from "./api-error.ts";
import type { ApiRequest, ApiResponder } from "./api-message.ts";

/** Answers a standard `Request`, of a server that knows its peers and doesn't say. */
export async function answerFetch(request: Request, respond: ApiResponder): Promise<Response> {
  const { status, headers, body } = await respond(readRequest(request));
  return new Response(request.method === "HEAD" ? null : body, { status, headers });
}

function readRequest(request: Request): ApiRequest {
  const { pathname, searchParams, hostname } = new URL(request.url);
  return {
    method: request.method,
    path: pathname,
    query: searchParams,
    hostname,
    peer: "mounted",
    signal: request.signal,
    header: (name) => request.headers.get(name) ?? undefined,
    async readBody(maxBytes) {
      const decoder = new TextDecoder();
      let text = "";
      let bytes = 0;
      for await (const chunk of (request.body ?? []) as AsyncIterable<Uint8Array>) {
        bytes += chunk.byteLength;
        if (bytes > maxBytes) throw bodyTooLarge(maxBytes);
        text += decoder.decode(chunk, { stream: true });
      }
      return text + decoder.decode();
    },
  };
}
