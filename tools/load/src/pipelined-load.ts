import { once } from "node:events";
import { connect } from "node:net";
import type { LoadTally } from "./load-tally.ts";
import type { PayloadStamper } from "./payload-stamper.ts";

const OK = Buffer.from("2:OK");
/** How long the last answers may take once nothing more is sent, in milliseconds. */
const LAST_ANSWERS_MS = 10_000;

export interface PipelinedLoadOptions {
  host: string;
  port: number;
  /** Frames under way on the connection: as many are sent as were just answered. */
  window: number;
  /** When sending ends, on the clock of `performance.now()`. */
  endsAt: number;
}

/** Keeps one connection full of frames until the time is up, then waits for the answers. */
export async function runPipelinedLoad(
  { host, port, window, endsAt }: PipelinedLoadOptions,
  frames: PayloadStamper,
  tally: LoadTally,
): Promise<void> {
  const socket = connect({ host, port, noDelay: true });
  await once(socket, "connect");
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
    if (now < endsAt) {
      if (answered > before) send(answered - before);
    } else if (answered === sent) socket.destroy();
  };

  const closed = once(socket, "close");
  const timer = setTimeout(() => socket.destroy(), endsAt - performance.now() + LAST_ANSWERS_MS);
  socket.on("error", () => {});
  socket.on("data", receive);
  send(window);
  await closed;
  clearTimeout(timer);
  tally.unanswered += sent - answered;
}
