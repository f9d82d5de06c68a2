import { connect, type NetConnectOpts, type Socket } from "node:net";
import { waitFor } from "@millrace/core/testing";

/** One frame as a client sends it; `hash` need not be one. */
export function frame(payload: string | Uint8Array, hash = "ed2b0d3"): Buffer {
  const body = Buffer.from(payload);
  return Buffer.concat([Buffer.from(`${11 + body.length}:v1:${hash}:`), body]);
}

/** Where a test's client connects to. */
export type ServerAddress = { port: number } | { path: string };

function target(address: ServerAddress): NetConnectOpts {
  return "path" in address ? { path: address.path } : { port: address.port, host: "127.0.0.1" };
}

/** A raw client that remembers everything that it was sent. */
export class TestClient {
  readonly socket: Socket;
  received = "";
  hasEnded = false;
  isClosed = false;
  error: Error | undefined;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.received += chunk.toString("latin1");
    });
    socket.on("end", () => {
      this.hasEnded = true;
    });
    socket.on("error", (error) => {
      this.error = error;
    });
    socket.on("close", () => {
      this.isClosed = true;
    });
  }

  static async open(address: ServerAddress): Promise<TestClient> {
    const socket = connect({ ...target(address), allowHalfOpen: true });
    socket.setNoDelay(true);
    const client = new TestClient(socket);
    // The server may have ended its side already.
    await waitFor(() => !socket.connecting, { description: "connect", intervalMs: 1 });
    return client;
  }

  send(...parts: Array<string | Uint8Array>): this {
    for (const part of parts) this.socket.write(part);
    return this;
  }

  /** Waits until exactly `text` has been received. */
  async expect(text: string): Promise<void> {
    await waitFor(() => this.received.length >= text.length, {
      description: `receiving ${text.slice(0, 40)}, got "${this.received.slice(0, 40)}"`,
      intervalMs: 1,
    });
    if (this.received !== text) {
      throw new Error(`expected ${text.slice(-40)}, got ${this.received.slice(-40)}`);
    }
  }

  /** Waits for the server to end its side, then checks everything that it sent. */
  async expectEnd(text: string): Promise<void> {
    await waitFor(() => this.hasEnded || this.isClosed, { description: "end", intervalMs: 1 });
    if (this.error !== undefined) throw this.error;
    if (this.received !== text) throw new Error(`expected ${text}, got ${this.received}`);
    this.socket.destroy();
  }
}

/** Sends one payload as the official client does: own connection, 0.5 s a wait, reads 4 bytes, closes. */
export function sendAsOfficialClient(
  address: ServerAddress,
  payload: string,
  hash?: string,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(target(address));
    let reply = "";
    socket.setTimeout(500, () => socket.destroy(new Error("Unable to read from stream")));
    socket.on("connect", () => socket.write(frame(payload, hash)));
    socket.on("data", (chunk: Buffer) => {
      reply += chunk.toString("latin1");
      if (reply.length >= 4) socket.end();
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(reply.slice(0, 4)));
  });
}
