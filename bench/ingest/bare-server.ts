/**
 * The least that a server of the protocol can do in Node: it finds the end of each frame by its
 * length and answers, without keeping, checking or copying anything.
 *
 * @module
 */
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { answerServerCalls } from "./answer-server-calls.ts";

const COLON = 0x3a;
const DIGIT_ZERO = 0x30;
const BACKLOG = 4_096;

let payloads = 0;

const server = createServer({ noDelay: true }, accept);

function accept(socket: Socket): void {
  let length = 0;
  let isInLength = true;
  socket.on("error", () => {});
  socket.on("data", (chunk: Buffer) => {
    let ends = 0;
    for (let at = 0; at < chunk.length;) {
      if (isInLength) {
        const byte = chunk[at++] ?? 0;
        if (byte === COLON) isInLength = false;
        else length = length * 10 + byte - DIGIT_ZERO;
        continue;
      }
      const taken = Math.min(length, chunk.length - at);
      at += taken;
      length -= taken;
      if (length > 0) continue;
      isInLength = true;
      ends++;
    }
    if (ends === 0) return;
    payloads += ends;
    socket.write("2:OK".repeat(ends), "latin1");
  });
}

answerServerCalls(() => ({ payloads, commits: 0 }), {
  async start() {
    server.listen({ host: "127.0.0.1", port: 0, backlog: BACKLOG });
    await once(server, "listening");
    return { port: (server.address() as AddressInfo).port };
  },
  async stop() {
    server.close();
  },
});
