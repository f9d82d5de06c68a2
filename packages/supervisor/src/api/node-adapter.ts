import type { IncomingMessage, ServerResponse } from "node:http";
import { ApiError, bodyTooLarge } from "./api-error.ts";
import { type ApiRequest, answerJson, type ApiResponder } from "./api-message.ts";

/**
 * Answers requests of a Node.js server. Not by way of `Request` and `Response`: to have them loads
 * undici, 13 MiB in a process that may have nothing else to do.
 */
export async function answerNode(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  respond: ApiResponder,
): Promise<void> {
  const url = readUrl(incoming);
  const answer =
    url === undefined
      ? answerJson({ error: { code: "URL_INVALID", message: "no such address", details: {} } }, 400)
      : await respond(readRequest(incoming, outgoing, url));
  outgoing.writeHead(answer.status, answer.headers);
  if (typeof answer.body === "string") {
    outgoing.end(answer.body);
    return;
  }
  // Clients shall know that the stream is open before its first event.
  outgoing.flushHeaders();
  const { pipeline } = process.getBuiltinModule("node:stream/promises");
  // A client that goes away is no failure.
  await pipeline(answer.body, outgoing).catch(() => {});
}

/**
 * The address that was asked for; `undefined` if it is none. The path is appended, not resolved: a
 * path of `//localhost/` must not become the host.
 */
function readUrl({ url = "", headers }: IncomingMessage): URL | undefined {
  const address = `http://${headers.host ?? "localhost"}${url}`;
  return url.startsWith("/") && URL.canParse(address) ? new URL(address) : undefined;
}

function readRequest(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  { pathname, searchParams, hostname }: URL,
): ApiRequest {
  const gone = new AbortController();
  outgoing.once("close", () => gone.abort());
  return {
    method: incoming.method ?? "GET",
    path: pathname,
    query: searchParams,
    hostname,
    peer: incoming.socket.remoteAddress ?? "unix",
    signal: gone.signal,
    header(name) {
      const value = incoming.headers[name];
      return Array.isArray(value) ? value.join(", ") : value;
    },
    readBody: (maxBytes) => readBody(incoming, maxBytes),
  };
}

async function readBody(incoming: IncomingMessage, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of incoming as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > maxBytes) break;
      chunks.push(chunk);
    }
  } catch {
    throw new ApiError(400, "BODY_INCOMPLETE", "the body ended early");
  }
  if (bytes > maxBytes) throw bodyTooLarge(maxBytes);
  return Buffer.concat(chunks).toString("utf8");
}
