/**
 * Stands in for the outside world, in a process of its own: Anthropic's Messages API, streamed, with a
 * 429 now and then, and an external runtime that takes a task and calls back.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { signWebhook, type CallbackRegistration } from "@millrace/queue";

const secret = process.env["AGENT_SECRET"] ?? "";
const WORDS = "Slow mills grind fine and the market reads what was milled with care".split(" ");
const accepted = new Set<string>();
let calls = 0;

const server = createServer((request, response) => {
  void readBody(request).then((body) =>
    request.url === "/runtime" ? runTask(request, response, body) : complete(response),
  );
});
server.listen(0, "127.0.0.1", () => {
  process.send?.({ port: (server.address() as AddressInfo).port });
});

async function complete(response: ServerResponse): Promise<void> {
  calls++;
  if (calls % 15 === 0) {
    response.writeHead(429, { "retry-after": "0.3" }).end('{"type":"error"}');
    return;
  }
  response.writeHead(200, { "content-type": "text/event-stream" });
  const send = (piece: { type: string; [field: string]: unknown }) =>
    response.write(`event: ${piece.type}\ndata: ${JSON.stringify(piece)}\n\n`);
  send({ type: "message_start", message: { model: "stand-in-1", usage: { input_tokens: 40 } } });
  for (const word of WORDS) {
    send({
      type: "content_block_delta",
      index: 0,
      delta: { type: "text_delta", text: `${word} ` },
    });
    await new Promise((resolve) => setTimeout(resolve, 8));
  }
  send({ type: "message_delta", delta: { stop_reason: "end_turn" }, usage: { output_tokens: 18 } });
  send({ type: "message_stop" });
  response.end();
}

async function runTask(
  request: IncomingMessage,
  response: ServerResponse,
  body: string,
): Promise<void> {
  response.writeHead(202).end();
  const key = String(request.headers["idempotency-key"]);
  if (accepted.has(key)) return;
  accepted.add(key);
  const { callback } = JSON.parse(body) as { callback: CallbackRegistration };
  await new Promise((resolve) => setTimeout(resolve, 100));
  const result = JSON.stringify({ rows: 1_234, trend: "up" });
  const headers = signWebhook(secret, { id: `run-${key}`, body: result, at: Date.now() });
  await fetch(callback.url, { method: "POST", body: result, headers: { ...headers } });
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
