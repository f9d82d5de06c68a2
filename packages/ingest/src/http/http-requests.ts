import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { sealPayload } from "@millrace/core";
import type { BearerNameOf } from "../auth/bearer-tokens.ts";
import type { ConnectionContext } from "../connection.ts";
import type { RefusalReason } from "../refusal.ts";
import { storeRefusal } from "../store-refusal.ts";
import { acceptedReply, type ErrorFormat, type HttpReply, refusalReply } from "./http-replies.ts";
import { contentEncoding, kindOfBody, mediaType, ROUTES } from "./media.ts";
import { discardBody, readBody } from "./request-body.ts";

/** What requests share with the connections of the TCP protocol. */
export type HttpContext = Pick<
  ConnectionContext,
  "buffer" | "rates" | "budget" | "counters" | "mirror" | "intake" | "onRefused"
> & {
  nameOf: BearerNameOf;
  maxBodyBytes: number;
  /** Connections that were refused for being late: what they leave unfinished is no news. */
  late: WeakSet<Socket>;
};

/**
 * Answers one request. Straight to Node's own response: a `Request` and a `Response` in between, as a
 * framework has them, cost more than all the rest of it (see bench/http).
 */
export async function answerRequest(
  incoming: IncomingMessage,
  response: ServerResponse,
  context: HttpContext,
): Promise<void> {
  const path = pathOf(incoming.url);
  const format = formatOf(path, incoming);
  let token: string | undefined;
  const outcome = await take(incoming, path, context, (name) => {
    token = name;
  });
  if (outcome === undefined) {
    send(response, acceptedReply(format));
    return;
  }
  const isReported = outcome === "truncated" && context.late.has(incoming.socket);
  if (!isReported) context.onRefused(outcome, incoming.socket.remoteAddress, token);
  const reply = refusalReply(outcome, format);
  if (!(await discardBody(incoming))) reply.headers["connection"] = "close";
  send(response, reply);
}

/** Without the query; of a proxy's absolute form too. */
function pathOf(url = ""): string {
  const path = url.startsWith("/") ? url : url.replace(/^https?:\/\/[^/?]*/i, "");
  return path.split("?", 1)[0] ?? "";
}

/** Stores the payload of a request. @returns why not, if it is refused. */
async function take(
  incoming: IncomingMessage,
  path: string,
  context: HttpContext,
  onToken: (name: string) => void,
): Promise<RefusalReason | undefined> {
  const { headers, method } = incoming;
  const kinds = Object.hasOwn(ROUTES, path) ? ROUTES[path] : undefined;
  if (kinds === undefined) return "not_found";
  if (method !== "POST") return "method";
  const token = context.nameOf(headers.authorization);
  if (token === undefined) return "token";
  const type = mediaType(headers["content-type"]);
  const declared = Object.hasOwn(kinds, type) ? kinds[type] : undefined;
  const encoding = contentEncoding(headers["content-encoding"]);
  if (declared === undefined || encoding === undefined) return "media_type";
  if (context.intake() !== "take") return "overload";
  const body = await readBody(incoming, context.maxBodyBytes, context.budget);
  if (typeof body === "string") return body;
  try {
    // In the protobuf encoding a request without records has no bytes at all.
    if (body.bytes === 0 && !declared.endsWith("-proto")) return "empty";
    const kind = kindOfBody(declared, encoding, body.chunks);
    if (kind === undefined) return "bad_request";
    onToken(token);
    if (context.intake() !== "take") return "overload";
    if (!context.rates.tryTake(token, body.bytes)) return "rate";
    return await store(sealPayload(kind, body.chunks), token, context);
  } finally {
    body.release();
  }
}

async function store(
  payload: Buffer,
  token: string,
  { buffer, counters, mirror }: HttpContext,
): Promise<RefusalReason | undefined> {
  try {
    await buffer.append(payload, token);
  } catch (error) {
    return storeRefusal(error);
  }
  counters.countPayload(payload.byteLength, token, "http");
  mirror.forward(payload, token);
  return undefined;
}

function formatOf(path: string, { headers }: IncomingMessage): ErrorFormat {
  if (path !== "/v1/logs" && path !== "/v1/traces") return "json";
  return mediaType(headers["content-type"]) === "application/x-protobuf"
    ? "otlp-proto"
    : "otlp-json";
}

function send(response: ServerResponse, { status, headers, body }: HttpReply): void {
  // One write, and no chunks.
  headers["content-length"] = String(Buffer.byteLength(body));
  response.writeHead(status, headers).end(body);
}
