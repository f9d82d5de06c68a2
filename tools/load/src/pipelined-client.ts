import { once } from "node:events";
import { connect } from "node:net";

/** One kept connection on which many frames are under way. */
export interface Pipeline {
  /** Resolves with true for `2:OK`, false for a refusal or a connection that ended. */
  send(frame: Uint8Array): Promise<boolean>;
  /** Frames without an answer yet. */
  readonly unanswered: number;
  close(): void;
}

const OK = "2:OK";

export async function openPipeline(address: { host: string; port: number }): Promise<Pipeline> {
  const socket = connect({ ...address, noDelay: true });
  await once(socket, "connect");
  const waiting: Array<(isAcknowledged: boolean) => void> = [];
  let head = 0;
  let text = "";
  const settle = (isAcknowledged: boolean) => {
    waiting[head]?.(isAcknowledged);
    head++;
    if (head === 1_024) {
      waiting.splice(0, head);
      head = 0;
    }
  };
  socket.on("data", (chunk) => {
    text += chunk.toString("latin1");
    let at = 0;
    for (; text.startsWith(OK, at); at += OK.length) settle(true);
    text = text.slice(at);
    if (text.length >= OK.length) socket.destroy();
  });
  socket.on("error", () => {});
  socket.on("close", () => {
    while (head < waiting.length) settle(false);
  });
  return {
    get unanswered() {
      return waiting.length - head;
    },
    send: (frame) =>
      new Promise((resolve) => {
        if (socket.destroyed) {
          resolve(false);
          return;
        }
        waiting.push(resolve);
        socket.write(frame);
      }),
    close: () => socket.destroy(),
  };
}
