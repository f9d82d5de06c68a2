import type { Socket } from "node:net";
import type { TokenRates } from "./auth/token-rates.ts";
import type { TokenStore } from "./auth/token-store.ts";
import type { ByteBudget } from "./byte-budget.ts";
import { FrameReader, type Frame } from "./framing/frame-reader.ts";
import type { IngestCounters } from "./ingest-counters.ts";
import type { IngestBuffer, ResolvedIngestLimits } from "./ingest-options.ts";
import type { LingeringClose } from "./lingering-close.ts";
import type { Mirror } from "./mirror/mirror.ts";
import type { RefusalReason } from "./refusal.ts";
import { type Reply, ReplyQueue } from "./reply-queue.ts";
import { storeRefusal } from "./store-refusal.ts";

/** What the connections of one server share. */
export interface ConnectionContext {
  readonly buffer: IngestBuffer;
  readonly limits: ResolvedIngestLimits;
  readonly tokens: TokenStore;
  readonly rates: TokenRates;
  readonly budget: ByteBudget;
  readonly counters: IngestCounters;
  readonly lingering: LingeringClose;
  readonly mirror: Mirror;
  /** What to do with payloads under the present load. */
  intake(): "take" | "wait" | "refuse";
  /** `token` is the name of the one that a refused payload came with. */
  onRefused(reason: RefusalReason, remoteAddress: string | undefined, token?: string): void;
  onClosed(connection: Connection): void;
}

/**
 * One client: reads frames, stores them, answers in order. At most one refusal is sent, and it is
 * the last thing sent.
 *
 * Its events do three things: bytes come (`#receive`), an answer is decided (`#sendReplies`), or
 * the time is up (`checkTimeouts`). Reading stops while {@link Connection.#mayTakeFrame} says no.
 */
export class Connection {
  readonly #socket: Socket;
  readonly #context: ConnectionContext;
  readonly #reader: FrameReader;
  readonly #replies = new ReplyQueue();
  /** When the connection opened, the unfinished frame began, or the last answer was sent. */
  #since = performance.now();
  #hasTakenFrame = false;
  #isPaused = false;
  #isRefusing = false;
  #isEnding = false;
  #isFinishing = false;
  #hasPeerEnded = false;
  #areRepliesScheduled = false;
  #writeBlockedSince: number | undefined;

  constructor(socket: Socket, context: ConnectionContext) {
    this.#socket = socket;
    this.#context = context;
    this.#reader = new FrameReader({
      maxFrameBytes: context.limits.maxFrameBytes,
      tokenName: context.tokens.nameOf,
      budget: context.budget,
    });
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    socket.on("end", () => this.#onPeerEnd());
    socket.on("close", () => {
      this.#reader.discard();
      context.onClosed(this);
    });
  }

  /** Goes on reading if whatever held it back is over. */
  proceed(): void {
    if (this.#isRefusing || this.#isEnding) return;
    while (this.#mayTakeFrame()) {
      const next = this.#reader.next();
      if (next === undefined) {
        this.#resume();
        return;
      }
      if (typeof next === "string") this.#refuse(next);
      else this.#take(next);
      if (this.#isRefusing) return;
    }
    this.#pause();
  }

  /** Ends the connection when the frames in hand are answered; at once when there are none. */
  finish(): void {
    this.#isFinishing = true;
    if (!this.#reader.isBegun && this.#replies.size === 0 && !this.#isEnding) this.#end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Refuses or ends the connection if its peer has taken too long. */
  checkTimeouts(now: number): void {
    const { headerTimeoutMs, frameTimeoutMs, idleTimeoutMs } = this.#context.limits;
    if (this.#isEnding) return;
    if (this.#writeBlockedSince !== undefined) {
      if (now - this.#writeBlockedSince < idleTimeoutMs) return;
      this.#context.onRefused("slow_reader", this.#socket.remoteAddress);
      this.destroy();
      return;
    }
    // What is paused or unanswered waits for the server, not for the peer.
    if (this.#isPaused || this.#isRefusing) return;
    const elapsedMs = now - this.#since;
    if (this.#reader.isInPayload) {
      if (elapsedMs >= frameTimeoutMs) this.#refuse("frame_timeout");
    } else if (this.#reader.isBegun) {
      if (elapsedMs >= headerTimeoutMs) this.#refuse("header_timeout");
    } else if (this.#replies.size === 0) {
      const isFirst = !this.#hasTakenFrame;
      if (elapsedMs < (isFirst ? headerTimeoutMs : idleTimeoutMs)) return;
      const reason = isFirst ? "header_timeout" : "idle_timeout";
      this.#context.onRefused(reason, this.#socket.remoteAddress);
      this.#end();
    }
  }

  #receive(chunk: Buffer): void {
    if (this.#isRefusing || this.#isEnding) return;
    if (this.#hasTakenFrame && !this.#reader.isBegun) this.#since = performance.now();
    this.#reader.push(chunk);
    this.proceed();
  }

  /** Where frames wait, without being refused, for the server to keep up. */
  #mayTakeFrame(): boolean {
    const { buffer, budget, limits } = this.#context;
    if (this.#writeBlockedSince !== undefined) return false;
    if (this.#replies.size >= limits.maxPipelinedFrames) return false;
    if (this.#context.intake() === "wait") return false;
    return this.#replies.size === 0 || (!budget.isExhausted && buffer.hasRoom());
  }

  #take(frame: Frame): void {
    const { payload, token } = frame;
    this.#hasTakenFrame = true;
    this.#since = performance.now();
    if (isPing(payload)) {
      this.#context.counters.pings++;
      this.#replies.open().outcome = "accepted";
      this.#scheduleReplies();
    } else if (this.#context.intake() === "refuse") this.#refuse("overload", token);
    else if (!this.#context.rates.tryTake(token, payload.byteLength)) this.#refuse("rate", token);
    else void this.#store(frame);
  }

  async #store({ payload, token }: Frame): Promise<void> {
    const { buffer, budget, counters, mirror } = this.#context;
    const reply = this.#replies.open();
    budget.hold(payload.byteLength);
    try {
      await buffer.append(payload, token);
      reply.outcome = "accepted";
      counters.countPayload(payload.byteLength, token);
      this.#scheduleReplies();
      mirror.forward(payload, token);
    } catch (error) {
      this.#refuse(storeRefusal(error), token, reply);
    } finally {
      budget.release(payload.byteLength);
    }
  }

  #refuse(reason: RefusalReason, token?: string, reply: Reply = this.#replies.open()): void {
    reply.outcome = "refused";
    if (!this.#isRefusing) {
      this.#isRefusing = true;
      this.#reader.discard();
      // Until the answers before it are out nothing more is read; then lingering reads on.
      this.#socket.pause();
      this.#context.onRefused(reason, this.#socket.remoteAddress, token);
    }
    this.#scheduleReplies();
  }

  /** Answers decided in one turn of the event loop leave in one write. */
  #scheduleReplies(): void {
    if (this.#areRepliesScheduled) return;
    this.#areRepliesScheduled = true;
    process.nextTick(() => this.#sendReplies());
  }

  #sendReplies(): void {
    this.#areRepliesScheduled = false;
    if (this.#isEnding || this.#socket.destroyed) return;
    const { text, isLast } = this.#replies.take();
    if (isLast) {
      this.#end(text);
      return;
    }
    if (text !== "" && !this.#socket.write(text, "latin1")) this.#waitForDrain();
    if (this.#replies.size === 0 && !this.#reader.isBegun) {
      this.#since = performance.now();
      if (this.#hasPeerEnded || this.#isFinishing) {
        this.#end();
        return;
      }
    }
    if (this.#isPaused) this.proceed();
  }

  #waitForDrain(): void {
    if (this.#writeBlockedSince !== undefined) return;
    this.#writeBlockedSince = performance.now();
    this.#pause();
    this.#socket.once("drain", () => {
      this.#writeBlockedSince = undefined;
      this.proceed();
    });
  }

  #onPeerEnd(): void {
    this.#hasPeerEnded = true;
    if (this.#isRefusing || this.#isEnding) return;
    if (this.#reader.isBegun) this.#refuse("truncated");
    else if (this.#replies.size === 0) this.#end();
  }

  #end(lastReply = ""): void {
    this.#isEnding = true;
    // With nothing left to send, closing at once saves the hot path a shutdown.
    if (lastReply === "" && this.#socket.writableLength === 0) this.#socket.destroy();
    else this.#context.lingering.add(this.#socket, lastReply);
  }

  #pause(): void {
    if (this.#isPaused) return;
    this.#isPaused = true;
    this.#socket.pause();
  }

  #resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#since = performance.now();
    this.#socket.resume();
  }
}

function isPing(payload: Uint8Array): boolean {
  return (
    payload.length === 4 &&
    payload[0] === 0x50 &&
    payload[1] === 0x49 &&
    payload[2] === 0x4e &&
    payload[3] === 0x47
  );
}
