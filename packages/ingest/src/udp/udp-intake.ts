import { createSocket, type Socket } from "node:dgram";
import { isIPv6 } from "node:net";
import { messageOf, MillraceError } from "@millrace/core";
import type { ConnectionContext } from "../connection.ts";
import type { IngestErrorCode } from "../errors.ts";
import { type Frame, FrameReader } from "../framing/frame-reader.ts";
import type { ListenAddress } from "../listening/listen-address.ts";
import type { RefusalReason } from "../refusal.ts";
import { storeRefusal } from "../store-refusal.ts";

export type UdpContext = Pick<
  ConnectionContext,
  | "buffer"
  | "limits"
  | "tokens"
  | "rates"
  | "budget"
  | "counters"
  | "mirror"
  | "intake"
  | "onRefused"
> & { mayConnect(address: string): boolean };

/** Takes datagrams, one frame in each. Answers none: what is refused is counted, and gone. */
export class UdpIntake {
  readonly #context: UdpContext;
  readonly #socket: Socket;
  readonly #pending = new Set<Promise<void>>();

  constructor(context: UdpContext, host: string) {
    this.#context = context;
    this.#socket = createSocket(isIPv6(host) ? "udp6" : "udp4");
    this.#socket.on("message", (message, { address }) => this.#receive(message, address));
  }

  /** @throws {@link MillraceError} `INGEST_LISTEN_FAILED`. */
  async bind(host: string, port: number): Promise<ListenAddress> {
    await new Promise<void>((resolve, reject) => {
      this.#socket.once("error", (error) => reject(bindFailed(error, host, port)));
      this.#socket.bind({ address: host, port }, () => resolve());
    });
    this.#socket.removeAllListeners("error");
    this.#socket.on("error", () => this.#context.counters.socketErrors++);
    const bound = this.#socket.address();
    return { host: bound.address, port: bound.port };
  }

  /** Takes no more, and waits for what it has taken to be stored. */
  async close(): Promise<void> {
    try {
      this.#socket.close();
    } catch {
      // Closed already, or never bound.
    }
    await Promise.all(this.#pending);
  }

  #receive(message: Buffer, address: string): void {
    const { rates, intake, counters, onRefused } = this.#context;
    if (!this.#context.mayConnect(address)) {
      onRefused("address", address);
      return;
    }
    const frame = this.#read(message);
    if (typeof frame === "string") onRefused(frame, address);
    else if (frame.payload.length === 4 && Buffer.from(frame.payload).equals(PING))
      counters.pings++;
    else if (intake() !== "take") onRefused("overload", address, frame.token);
    // A buffer that blocks would hold datagrams that nobody waits for.
    else if (!this.#context.buffer.hasRoom()) onRefused("buffer_full", address, frame.token);
    else if (!rates.tryTake(frame.token, frame.payload.byteLength)) {
      onRefused("rate", address, frame.token);
    } else {
      const stored = this.#store(frame, address).finally(() => this.#pending.delete(stored));
      this.#pending.add(stored);
    }
  }

  #read(message: Buffer): Frame | RefusalReason {
    const { limits, tokens, budget } = this.#context;
    const reader = new FrameReader({
      maxFrameBytes: limits.maxFrameBytes,
      tokenName: tokens.nameOf,
      budget,
    });
    reader.push(message);
    const frame = reader.next();
    const isWhole = frame !== undefined && !reader.isBegun;
    reader.discard();
    if (frame === undefined) return "truncated";
    return isWhole || typeof frame === "string" ? frame : "bad_header";
  }

  async #store({ payload, token }: Frame, address: string): Promise<void> {
    const { buffer, budget, counters, mirror, onRefused } = this.#context;
    if (!budget.tryHold(payload.byteLength)) {
      onRefused("memory", address, token);
      return;
    }
    try {
      await buffer.append(payload, token);
      counters.countPayload(payload.byteLength, token, "udp");
      mirror.forward(payload, token);
    } catch (error) {
      onRefused(storeRefusal(error), address, token);
    } finally {
      budget.release(payload.byteLength);
    }
  }
}

const PING = Buffer.from("PING");

function bindFailed(error: unknown, host: string, port: number): MillraceError<IngestErrorCode> {
  return new MillraceError(
    "INGEST_LISTEN_FAILED",
    `cannot take datagrams on ${host}:${port} (${messageOf(error)}): stop what has the port, or set udp.port`,
    { cause: error, details: { where: `udp ${host}:${port}` } },
  );
}
