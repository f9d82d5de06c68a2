import { once } from "node:events";
import { connect } from "node:net";
import type { LoadTally } from "./load-tally.ts";
import type { PayloadStamper } from "./payload-stamper.ts";

export interface HttpLoadOptions {
  host: string;
  port: number;
  token: string;
  /** Records in the body of each request. */
  records: number;
  format: "json" | "ndjson";
  /** When sending ends, on the clock of `performance.now()`. */
  endsAt: number;
}

const HEADER_END = "\r\n\r\n";
const OPEN = Buffer.from("[");
const CLOSE = Buffer.from("]");
const COMMA = Buffer.from(",");
const LINE_FEED = Buffer.from("\n");

/**
 * Sends requests one after the other on one kept connection until the time is up. Written against
 * the socket, so that the client costs little beside the server.
 */
export async function runHttpLoad(
  options: HttpLoadOptions,
  payloads: PayloadStamper,
  tally: LoadTally,
): Promise<void> {
  const { host, port, endsAt } = options;
  const socket = connect({ host, port, noDelay: true });
  await once(socket, "connect");
  let sentAt = 0;
  let isWaiting = false;
  let reply = "";
  const send = () => {
    const request = encodeRequest(options, payloads);
    tally.sent++;
    isWaiting = true;
    sentAt = performance.now();
    socket.write(request);
  };
  socket.on("data", (chunk) => {
    reply += chunk.toString("latin1");
    const bodyAt = reply.indexOf(HEADER_END) + HEADER_END.length;
    if (bodyAt < HEADER_END.length) return;
    const bodyBytes = Number(/\r\ncontent-length: *(\d+)/i.exec(reply)?.[1] ?? 0);
    if (reply.length < bodyAt + bodyBytes) return;
    isWaiting = false;
    const now = performance.now();
    if (/^HTTP\/1\.1 20[02] /.test(reply)) tally.acknowledge(sentAt, now);
    else tally.refused++;
    reply = "";
    if (now < endsAt) send();
    else socket.destroy();
  });
  socket.on("error", () => {});
  send();
  await once(socket, "close");
  if (isWaiting) tally.unanswered++;
}

function encodeRequest(
  { host, port, token, records, format }: HttpLoadOptions,
  payloads: PayloadStamper,
): Buffer {
  const isJson = format === "json";
  const body: Buffer[] = isJson ? [OPEN] : [];
  for (let record = 0; record < records; record++) {
    if (record > 0) body.push(isJson ? COMMA : LINE_FEED);
    // Each is an array of one.
    body.push(payloads.next().subarray(1, -1));
  }
  if (isJson) body.push(CLOSE);
  const bytes = body.reduce((sum, { length }) => sum + length, 0);
  const head =
    `POST /v1/ingest HTTP/1.1\r\nHost: ${host}:${port}\r\nAuthorization: Bearer ${token}\r\n` +
    `Content-Type: application/${isJson ? "json" : "x-ndjson"}\r\nContent-Length: ${bytes}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), ...body]);
}
