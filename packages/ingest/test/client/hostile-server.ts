import { createServer, type Server, type Socket } from "node:net";
import { gunzipSync } from "node:zlib";
import type { AddressInfo } from "node:net";
import { waitFor } from "@millrace/core/testing";
import { onTestFinished } from "vitest";

/** What a server does with each whole frame; `stop-reading` also leaves what comes unread. */
export type Behaviour =
  | "accept"
  | "refuse"
  | "garbage"
  | "never-answer"
  | "stop-reading"
  | "reset"
  | "close"
  | "close-in-mid-reply"
  | "half-close"
  | "unasked-replies"
  | "drip-reply";

/** A server of the protocol that may be told to misbehave at any time. */
export class HostileServer {
  /** Payloads of whole frames, in the order they came, whatever was answered. */
  readonly payloads: Buffer[] = [];
  readonly headers: string[] = [];
  connections = 0;
  /** Frames that came before the answer to the one before them. */
  mostUnanswered = 0;
  behave: Behaviour | (() => Behaviour);
  readonly #server: Server;
  readonly #open = new Set<Socket>();
  #port = 0;

  constructor(behave: HostileServer["behave"]) {
    this.behave = behave;
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#serve(socket));
  }

  static async run(behave: HostileServer["behave"] = "accept", port = 0): Promise<HostileServer> {
    const server = new HostileServer(behave);
    await server.listen(port);
    onTestFinished(() => server.stop());
    return server;
  }

  get port(): number {
    return this.#port;
  }

  get openConnections(): number {
    return this.#open.size;
  }

  /** Records of the payloads, which are JSON arrays. */
  get records(): unknown[] {
    return this.payloads.flatMap((payload) => {
      const json = payload[0] === 0x1f ? gunzipSync(payload) : payload;
      return JSON.parse(json.toString()) as unknown[];
    });
  }

  listen(port = this.#port): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, "127.0.0.1", () => {
        this.#port = (this.#server.address() as AddressInfo).port;
        resolve();
      });
    });
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#open) socket.resetAndDestroy();
    await closed;
  }

  async receives(records: number): Promise<void> {
    await waitFor(() => this.records.length >= records, {
      description: `${records} records, has ${this.records.length}`,
    });
  }

  #serve(socket: Socket): void {
    let pending = Buffer.alloc(0);
    let unanswered = 0;
    this.connections++;
    this.#open.add(socket);
    socket.on("close", () => this.#open.delete(socket));
    socket.on("error", () => {});
    socket.on("end", () => socket.end());
    if (this.behave === "stop-reading") return;
    socket.on("data", (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk]);
      for (;;) {
        const colon = pending.indexOf(":");
        const end = colon + 1 + Number(pending.toString("latin1", 0, colon));
        if (colon < 0 || pending.length < end) return;
        this.headers.push(pending.toString("latin1", 0, colon + 12));
        this.payloads.push(Buffer.from(pending.subarray(colon + 12, end)));
        pending = pending.subarray(end);
        unanswered++;
        this.mostUnanswered = Math.max(this.mostUnanswered, unanswered);
        setImmediate(() => {
          unanswered--;
          this.#answer(socket);
        });
      }
    });
  }

  #behaviour(): Behaviour {
    return typeof this.behave === "function" ? this.behave() : this.behave;
  }

  #answer(socket: Socket): void {
    if (socket.destroyed || socket.writableEnded) return;
    const behaviour = this.#behaviour();
    switch (behaviour) {
      case "accept":
        socket.write("2:OK");
        return;
      case "refuse":
        socket.end("5:ERROR");
        return;
      case "garbage":
        socket.write("HTTP/1.1 400 Bad Request\r\n\r\n");
        return;
      case "never-answer":
      case "stop-reading":
        return;
      case "reset":
        socket.resetAndDestroy();
        return;
      case "close":
        socket.destroy();
        return;
      case "close-in-mid-reply":
        socket.end("2:O");
        return;
      case "half-close":
        socket.end();
        return;
      case "unasked-replies":
        socket.write("2:OK".repeat(100));
        return;
      case "drip-reply":
        dripReply(socket);
        return;
      default:
        behaviour satisfies never;
    }
  }
}

function dripReply(socket: Socket): void {
  const rest = ["2", ":", "O", "K"];
  const timer = setInterval(() => {
    const next = rest.shift();
    if (next === undefined || socket.destroyed) clearInterval(timer);
    else socket.write(next);
  }, 5);
}
