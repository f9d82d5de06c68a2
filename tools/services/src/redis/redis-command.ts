import { connect } from "node:net";

/**
 * Sends one command to a Redis and returns the first line of the reply, or the whole bulk string.
 *
 * Enough for `PING`, `INFO` and `CLUSTER`; a client library would be one more dependency.
 */
export function sendRedisCommand(port: number, ...words: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1" });
    let reply = "";
    socket.setTimeout(2_000, () => socket.destroy(new Error(`No reply from port ${port} in 2 s`)));
    socket.setEncoding("utf8");
    socket.once("error", reject);
    socket.once("close", () => reject(new Error(`Port ${port} closed the connection`)));
    socket.once("connect", () => socket.write(encode(words)));
    socket.on("data", (chunk: string) => {
      reply += chunk;
      const text = decode(reply);
      if (text === undefined) return;
      resolve(text);
      socket.destroy();
    });
  });
}

function encode(words: readonly string[]): string {
  const parts = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
  return `*${words.length}\r\n${parts.join("")}`;
}

// https://redis.io/docs/latest/develop/reference/protocol-spec/; the replies asked for here are ASCII.
function decode(reply: string): string | undefined {
  const lineEnd = reply.indexOf("\r\n");
  if (lineEnd === -1) return undefined;
  if (!reply.startsWith("$")) return reply.slice(0, lineEnd);
  const length = Number(reply.slice(1, lineEnd));
  const body = reply.slice(lineEnd + 2);
  return body.length >= length + 2 ? body.slice(0, length) : undefined;
}
