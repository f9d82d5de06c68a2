import type { Socket } from "node:net";

const LINGER_MS = 1_000;
const LINGER_BYTES = 64 * 1024 * 1024;

/**
 * Closes sockets so that the peer gets the last reply. Closing one that has unread bytes makes the
 * kernel send a reset, which throws that reply away: so the rest is read and discarded until the
 * peer closes too, for a second and 64 MiB at most.
 */
export class LingeringClose {
  readonly #deadlines = new Map<Socket, number>();

  /** Sockets that still linger. */
  get size(): number {
    return this.#deadlines.size;
  }

  add(socket: Socket, lastReply: string): void {
    let discarded = 0;
    this.#deadlines.set(socket, performance.now() + LINGER_MS);
    socket.once("close", () => this.#deadlines.delete(socket));
    socket.on("data", (chunk: Buffer) => {
      discarded += chunk.length;
      if (discarded > LINGER_BYTES) socket.destroy();
    });
    socket.resume();
    socket.end(lastReply, "latin1");
  }

  sweep(now: number): void {
    for (const [socket, deadline] of this.#deadlines) if (now >= deadline) socket.destroy();
  }

  destroyAll(): void {
    for (const socket of this.#deadlines.keys()) socket.destroy();
  }
}
