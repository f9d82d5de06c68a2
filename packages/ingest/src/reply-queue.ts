import { ACCEPTED, REFUSED } from "./framing/replies.ts";

/** The answer to one frame, decided some time after the frame was taken. */
export interface Reply {
  outcome: "pending" | "accepted" | "refused";
}

/** Answers frames in the order they came, whatever order the answers are decided in. */
export class ReplyQueue {
  readonly #replies: Reply[] = [];

  /** Frames that have no answer yet. */
  get size(): number {
    return this.#replies.length;
  }

  /** Adds the next frame's place in the order. */
  open(): Reply {
    const reply: Reply = { outcome: "pending" };
    this.#replies.push(reply);
    return reply;
  }

  /** Takes what can be said now; nothing may follow a refusal. */
  take(): { text: string; isLast: boolean } {
    let accepted = 0;
    while (this.#replies[accepted]?.outcome === "accepted") accepted++;
    const isLast = this.#replies[accepted]?.outcome === "refused";
    this.#replies.splice(0, isLast ? this.#replies.length : accepted);
    const text = accepted === 1 ? ACCEPTED : ACCEPTED.repeat(accepted);
    return { text: isLast ? text + REFUSED : text, isLast };
  }
}
