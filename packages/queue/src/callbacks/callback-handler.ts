import { defaultLogger, refuseWebhook } from "@millrace/core";
import type { DeliveredCallback } from "../gate/gate.ts";
import type { ResolvedCallbacksOptions } from "./callbacks-options.ts";
import { hashToken } from "./token-hash.ts";

/** Gives a callback to the task that awaits it, in the queue of a role. */
export type DeliverCallback = (callback: {
  jobId: string;
  dispatchKey: string;
  tokenHash: string;
  payload: string;
}) => Promise<DeliveredCallback>;

/** One callback: the signature proves who sends it, the token which dispatch it answers, once. */
export async function handleCallback(
  request: Request,
  options: ResolvedCallbacksOptions,
  deliverTo: (role: string) => DeliverCallback | undefined,
  now: number,
): Promise<Response> {
  const logger = options.logger ?? defaultLogger();
  if (request.method !== "POST") return answer(405, { error: "method_not_allowed" });
  const url = new URL(request.url);
  const parts = url.pathname.split("/").slice(-3).map(decode);
  const [role, taskId, dispatchKey] = parts;
  const deliver = deliverTo(role ?? "");
  if (!deliver || !taskId || !dispatchKey) return answer(404, { error: "not_found" });
  const body = await readBody(request, options.maxBodyBytes);
  if (body === undefined) return answer(413, { error: "too_large" });
  const refusal = refuseWebhook(options.secret, request.headers, body, {
    now,
    toleranceMs: options.toleranceMs,
  });
  if (refusal) {
    logger.warn({ taskId, agentRole: role, reason: refusal }, "callback refused");
    return answer(401, { error: refusal });
  }
  if (!isJson(body)) return answer(400, { error: "invalid_json" });
  const { outcome, payload } = await deliver({
    jobId: taskId,
    dispatchKey,
    tokenHash: hashToken(url.searchParams.get("token") ?? ""),
    payload: body,
  });
  logger.info({ taskId, agentRole: role, dispatchKey, outcome }, "callback");
  switch (outcome) {
    case "delivered":
      return answer(200, { status: "accepted" });
    case "repeated":
      return answer(200, { status: "accepted", first: JSON.parse(payload ?? "null") as unknown });
    case "missing":
      return answer(404, { error: "unknown_task" });
    case "refused":
      // A wrong token, or one whose wait has ended.
      return answer(410, { error: "not_awaited" });
    default:
      return outcome satisfies never;
  }
}

function answer(status: number, body: object): Response {
  return Response.json(body, { status });
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return "";
  }
}

function isJson(body: string): boolean {
  try {
    JSON.parse(body);
    return true;
  } catch {
    return false;
  }
}

/** The body as text, or undefined when it is larger than allowed: then the rest is not read. */
async function readBody(request: Request, maxBytes: number): Promise<string | undefined> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  if (request.body) {
    for await (const chunk of request.body as unknown as AsyncIterable<Uint8Array>) {
      bytes += chunk.byteLength;
      if (bytes > maxBytes) return undefined;
      chunks.push(chunk);
    }
  }
  return Buffer.concat(chunks).toString("utf8");
}
