import { connect } from "node:net";

/**
 * What became of a payload. `unknown`: the connection broke or timed out after bytes were sent, so
 * the server may have it.
 */
export type SendOutcome = "acknowledged" | "refused" | "unreachable" | "unknown";

/**
 * Sends one frame the way the official client does: a fresh connection, the frame in one write, four
 * bytes of reply, close; half a second each to connect and to be answered.
 */
export function sendOnce(
  { host, port }: { host: string; port: number },
  frame: Uint8Array,
  timeoutMs = 500,
): Promise<SendOutcome> {
  return new Promise((resolve) => {
    let reply = "";
    let isConnected = false;
    const socket = connect({ host, port, noDelay: true });
    const end = (outcome: SendOutcome) => {
      socket.destroy();
      resolve(outcome);
    };
    socket.setTimeout(timeoutMs, () => end(isConnected ? "unknown" : "unreachable"));
    socket.on("connect", () => {
      isConnected = true;
      socket.write(frame);
    });
    socket.on("data", (chunk) => {
      reply += chunk.toString("latin1");
      if (reply.length >= 4) end(reply.startsWith("2:OK") ? "acknowledged" : "refused");
    });
    socket.on("error", () => end(isConnected ? "unknown" : "unreachable"));
    socket.on("close", () => end(isConnected ? "unknown" : "unreachable"));
  });
}
