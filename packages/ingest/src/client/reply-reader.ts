import { ACCEPTED, REFUSED } from "../framing/replies.ts";

/** One answer of a server; after `garbage` the stream has no meaning any more. */
export type ServerReply = "accepted" | "refused" | "garbage";

/** Cuts a stream of bytes into replies, wherever it was split. */
export class ReplyReader {
  #pending = "";
  #isOver = false;

  /** The replies that `chunk` completes. Nothing follows a refusal or garbage. */
  read(chunk: Buffer): ServerReply[] {
    const replies: ServerReply[] = [];
    if (this.#isOver) return replies;
    const text = this.#pending + chunk.toString("latin1");
    let at = 0;
    while (text.startsWith(ACCEPTED, at)) {
      replies.push("accepted");
      at += ACCEPTED.length;
    }
    this.#pending = text.slice(at);
    if (this.#pending.startsWith(REFUSED)) replies.push("refused");
    else if (!ACCEPTED.startsWith(this.#pending) && !REFUSED.startsWith(this.#pending)) {
      replies.push("garbage");
    }
    this.#isOver = replies.at(-1) !== "accepted" && replies.length > 0;
    return replies;
  }
}
