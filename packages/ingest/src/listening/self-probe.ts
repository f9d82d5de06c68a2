import { connect, isIPv6, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { type Health, type Logger, messageOf } from "@millrace/core";
import { writeFrame } from "../client/frame-writer.ts";
import { ACCEPTED, REFUSED } from "../framing/replies.ts";
import type { BoundAddress } from "./listen-address.ts";

const MAX_WAIT_MS = 4_000;
const FAILURES_UNTIL_UNHEALTHY = 2;
/** After a first failure it is not the next turn that makes sure. */
const RETRY_MS = 1_000;
const PING = Buffer.from("PING");

export interface SelfProbeOptions {
  address: BoundAddress;
  isTls: boolean;
  tokenHash: string;
  intervalMs: number;
  logger: Logger;
}

/**
 * Connects to the server's own socket as a client does. A listener can be open and deaf - its
 * descriptor closed behind its back, its queue never emptied - and nothing else would show it.
 */
export class SelfProbe {
  readonly outcomes = { answered: 0, failed: 0 };
  readonly #options: SelfProbeOptions;
  readonly #timer: NodeJS.Timeout;
  #retry: NodeJS.Timeout | undefined;
  #socket: Socket | undefined;
  #isClosed = false;
  #failuresInRow = 0;
  #lastFailure = "";

  constructor(options: SelfProbeOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#probe(), options.intervalMs);
  }

  health(): Health {
    if (this.#failuresInRow < FAILURES_UNTIL_UNHEALTHY) return { healthy: true };
    return {
      healthy: false,
      reason: `listens on ${describe(this.#options.address)} but does not answer: its own ${this.#failuresInRow} last probes failed (${this.#lastFailure})`,
    };
  }

  /** Whether this is the probe's own connection, seen from the server's end. */
  isOwn(accepted: Socket): boolean {
    const port = this.#socket?.localPort;
    return (
      port !== undefined &&
      accepted.remotePort === port &&
      accepted.remoteAddress === this.#socket?.localAddress
    );
  }

  close(): void {
    clearInterval(this.#timer);
    clearTimeout(this.#retry);
    this.#isClosed = true;
    this.#socket?.destroy();
  }

  #probe(): void {
    if (this.#socket !== undefined) return;
    const { isTls, tokenHash, intervalMs } = this.#options;
    const waitMs = Math.min(intervalMs, MAX_WAIT_MS);
    const socket = this.#connect();
    this.#socket = socket;
    let reply = "";
    let failure = "the connection closed";
    const giveUp = () => socket.destroy(new Error(`no reply within ${waitMs} ms`));
    // A busy event loop runs its timers before it reads a reply that came in time.
    const deadline = setTimeout(() => setImmediate(giveUp), waitMs);
    socket.once(isTls ? "secureConnect" : "connect", () => writeFrame(socket, tokenHash, PING));
    socket.on("data", (chunk: Buffer) => {
      reply += chunk.toString("latin1", 0, REFUSED.length);
      if (reply.length >= ACCEPTED.length) socket.destroy();
    });
    socket.on("error", (error) => {
      failure = messageOf(error);
    });
    socket.on("close", () => {
      clearTimeout(deadline);
      this.#socket = undefined;
      // A refusal is an answer too: the server is alive and says that it is full.
      const isAnswered = reply.startsWith(ACCEPTED) || reply.startsWith(REFUSED.slice(0, 4));
      this.#count(isAnswered ? undefined : failure);
    });
  }

  #connect(): Socket {
    const { address, isTls } = this.#options;
    if ("path" in address) return connect({ path: address.path });
    const target = { host: reachable(address.host), port: address.port };
    // Whether clients trust the certificate is not what is asked here.
    return isTls ? connectTls({ ...target, rejectUnauthorized: false }) : connect(target);
  }

  #count(failure: string | undefined): void {
    if (failure === undefined) {
      this.outcomes.answered++;
      this.#failuresInRow = 0;
      return;
    }
    this.outcomes.failed++;
    this.#failuresInRow++;
    this.#lastFailure = failure;
    if (this.#failuresInRow === 1 && !this.#isClosed) {
      const waitMs = Math.min(RETRY_MS, this.#options.intervalMs);
      this.#retry = setTimeout(() => this.#probe(), waitMs);
    }
    if (this.#failuresInRow === FAILURES_UNTIL_UNHEALTHY) {
      this.#options.logger.error({ address: this.#options.address }, this.health().reason ?? "");
    }
  }
}

/** An address that stands for all of them cannot be connected to everywhere. */
function reachable(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  return isIPv6(host) && /^[0:]+$/.test(host) ? "::1" : host;
}

function describe(address: BoundAddress): string {
  return "path" in address ? address.path : `${address.host}:${address.port}`;
}
