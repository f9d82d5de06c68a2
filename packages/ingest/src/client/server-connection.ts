import { connect, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import { messageOf } from "@millrace/core";
import { writeFrame } from "./frame-writer.ts";
import { ReplyReader } from "./reply-reader.ts";

export interface ServerConnectionOptions {
  host: string;
  port: number;
  tls: boolean | ConnectionOptions;
  tokenHash: string;
  connectTimeoutMs: number;
  replyTimeoutMs: number;
  idleTimeoutMs: number;
}

export interface ServerConnectionHandlers {
  onOpen(): void;
  onReply(reply: "accepted" | "refused"): void;
  /** Once, at the end, unless {@link ServerConnection.destroy} came first. */
  onLost(reason: string): void;
}

/**
 * One connection to a server: frames go out, replies come back in the same order. It neither
 * buffers nor retries, and every wait in it ends. It does not keep the process alive.
 */
export class ServerConnection {
  readonly #options: ServerConnectionOptions;
  readonly #handlers: ServerConnectionHandlers;
  readonly #socket: Socket;
  readonly #replies = new ReplyReader();
  #unanswered = 0;
  #timer: NodeJS.Timeout | undefined;
  #isDone = false;

  constructor(options: ServerConnectionOptions, handlers: ServerConnectionHandlers) {
    this.#options = options;
    this.#handlers = handlers;
    const { host, port, tls, connectTimeoutMs } = options;
    const address = { host, port };
    this.#socket = tls
      ? connectTls({ ...address, ...(tls === true ? {} : tls) })
      : connect(address);
    this.#socket.unref();
    this.#socket.setNoDelay(true);
    this.#socket.once(tls ? "secureConnect" : "connect", () => this.#open());
    this.#socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    this.#socket.on("error", (error) => this.#lose(messageOf(error)));
    // A server that has ended its side answers no more, whatever it still reads.
    this.#socket.on("end", () => this.#lose("the server closed the connection"));
    this.#socket.on("close", () => this.#lose("the connection closed"));
    this.#await(connectTimeoutMs, "no connection");
  }

  send(payload: Uint8Array): void {
    if (this.#isDone) return;
    writeFrame(this.#socket, this.#options.tokenHash, payload);
    if (this.#unanswered++ === 0) this.#await(this.#options.replyTimeoutMs, "no reply");
  }

  /** Closes at once; no handler is called any more. */
  destroy(): void {
    this.#isDone = true;
    clearTimeout(this.#timer);
    this.#socket.destroy();
  }

  #open(): void {
    if (this.#isDone) return;
    this.#awaitWork();
    this.#handlers.onOpen();
  }

  #receive(chunk: Buffer): void {
    const replies = this.#replies.read(chunk);
    // Counted before the first of them lets more frames go, which they cannot answer.
    if (replies.length > this.#unanswered || replies.includes("garbage")) {
      this.#lose("the server sent something that is no reply: is it an ingest server?");
      return;
    }
    for (const reply of replies) {
      if (this.#isDone || reply === "garbage") return;
      this.#unanswered--;
      if (this.#unanswered > 0) this.#await(this.#options.replyTimeoutMs, "no reply");
      else this.#awaitWork();
      this.#handlers.onReply(reply);
    }
  }

  #awaitWork(): void {
    this.#await(this.#options.idleTimeoutMs, "nothing to send");
  }

  #await(ms: number, missing: string): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#lose(`${missing} for ${ms} ms`), ms).unref();
  }

  #lose(reason: string): void {
    if (this.#isDone) return;
    this.destroy();
    this.#handlers.onLost(reason);
  }
}
