import { connect, type Socket } from "node:net";
import { writeFrame } from "../client/frame-writer.ts";
import { ACCEPTED, REFUSED } from "../framing/replies.ts";
import type { SendResult, UpstreamLink } from "./upstream-link.ts";

/** However slowly an upstream reads, each step in time, one copy takes no longer than this. */
const MAX_SEND_MS = 30_000;

export interface TcpLinkOptions {
  host: string;
  port: number;
  timeoutMs: number;
  /** The hash to send for the token of this name. */
  tokenHash: (token: string) => string;
}

/**
 * Sends as the official client does: one connection, one frame, one reply, close. It is all that
 * every server of the protocol knows; the official agent closes after its first reply.
 */
export class TcpLink implements UpstreamLink {
  readonly #options: TcpLinkOptions;
  readonly #sockets = new Set<Socket>();

  constructor(options: TcpLinkOptions) {
    this.#options = options;
  }

  send(payload: Uint8Array, token: string): Promise<SendResult> {
    const { host, port, timeoutMs, tokenHash } = this.#options;
    return new Promise((resolve) => {
      const socket = connect({ host, port, noDelay: true });
      let isConnected = false;
      let reply = "";
      const overall = setTimeout(() => settle("timed_out"), MAX_SEND_MS);
      const settle = (result: SendResult) => {
        clearTimeout(overall);
        socket.destroy();
        this.#sockets.delete(socket);
        resolve(isConnected ? result : "unreachable");
      };
      this.#sockets.add(socket);
      socket.setTimeout(timeoutMs, () => settle("timed_out"));
      socket.on("connect", () => {
        isConnected = true;
        writeFrame(socket, tokenHash(token), payload);
      });
      socket.on("data", (chunk: Buffer) => {
        reply += chunk.toString("latin1", 0, REFUSED.length);
        if (reply.startsWith(ACCEPTED)) settle("delivered");
        else if (reply.startsWith(REFUSED.slice(0, ACCEPTED.length))) settle("refused");
        else if (reply.length >= ACCEPTED.length) settle("broken");
      });
      socket.on("end", () => settle("broken"));
      socket.on("error", () => settle("broken"));
      socket.on("close", () => settle("broken"));
    });
  }

  async destroy(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
  }
}
