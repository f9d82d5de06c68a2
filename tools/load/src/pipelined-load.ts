import { once } from "node:events";
import { connect } from "node:net";
import type { LoadTally } from "./load-tally.ts";
import type { PayloadStamper } from "./payload-stamper.ts";

const OK = Buffer.from("2:OK");
/** How often a connection with a rate sends, in milliseconds. */
const TICK_MS = 2;
/** How long the last answers may take once nothing more is sent, in milliseconds. */
const LAST_ANSWERS_MS = 10_000;

export interface PipelinedLoadOptions {
  host: string;
  port: number;
  /** Frames under way on the connection: as many are sent as were just answered. */
  window: number;
  /** Frames sent on the connection, as long as there is room in the window. @default as many as answered */
  ratePerSecond?: number | undefined;
  /** When sending ends, on the clock of `performance.now()`. */
  endsAt: number;
}

/** Keeps one connection full of frames, or sends at a rate, until the time is up; then waits for the answers. */
export async function runPipelinedLoad(
  { host, port, window, ratePerSecond, endsAt }: PipelinedLoadOptions,
  frames: PayloadStamper,
  tally: LoadTally,
): Promise<void> {
  const socket = connect({ host, port, noDelay: true });
  await once(socket, "connect");
  const startedAt = performance.now();
  const sentAt = new Float64Array(window);
  let sent = 0;
  let answered = 0;
  let replyBytes = 0;

  const send = (count: number) => {
    const bytes = Buffer.allocUnsafe(count * frames.maxBytes);
    const now = performance.now();
    let end = 0;
    for (let index = 0; index < count; index++) {
      end = frames.write(bytes, end);
      sentAt[sent++ % window] = now;
    }
    tally.sent += count;
    socket.write(bytes.subarray(0, end));
  };
  const receive = (chunk: Buffer) => {
    for (const byte of chunk) {
      if (byte === OK[replyBytes++ % OK.length]) continue;
      tally.refused++;
      answered++;
      socket.destroy();
      return;
    }
    const now = performance.now();
    const before = answered;
    for (; (answered + 1) * OK.length <= replyBytes; answered++) {
      tally.acknowledge(sentAt[answered % window] ?? now, now);
    }
    if (now >= endsAt) {
      if (answered === sent) socket.destroy();
    } else if (ratePerSecond === undefined && answered > before) send(answered - before);
  };
  const sendDue = (rate: number) => {
    const now = performance.now();
    if (now >= endsAt) {
      clearInterval(pace);
      if (answered === sent) socket.destroy();
      return;
    }
    const due = Math.floor(((now - startedAt) / 1_000) * rate) - sent;
    const count = Math.min(due, window - (sent - answered));
    if (count > 0) send(count);
  };

  const closed = once(socket, "close");
  const timer = setTimeout(() => socket.destroy(), endsAt - performance.now() + LAST_ANSWERS_MS);
  socket.on("error", () => {});
  socket.on("data", receive);
  const pace =
    ratePerSecond === undefined ? undefined : setInterval(() => sendDue(ratePerSecond), TICK_MS);
  if (ratePerSecond === undefined) send(window);
  await closed;
  clearInterval(pace);
  clearTimeout(timer);
  tally.unanswered += sent - answered;
}
