/**
 * A TCP proxy that holds back what the server says, in a process of its own.
 *
 * @module
 */
import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { answerCalls } from "../process/answer-calls.ts";

interface DelayProxyInput {
  port: number;
  /** Added to every round trip, in milliseconds. */
  delayMs: number;
}

const calls = {
  /** @returns the port to connect to instead. */
  async listen({ port, delayMs }: DelayProxyInput): Promise<number> {
    const server = createServer({ noDelay: true }, (client) => {
      const upstream = connect({ port, host: "127.0.0.1", noDelay: true });
      client.pipe(upstream);
      upstream.on("data", (chunk) => setTimeout(() => client.write(chunk), delayMs));
      upstream.on("close", () => setTimeout(() => client.destroy(), delayMs));
      client.on("close", () => upstream.destroy());
      for (const socket of [client, upstream]) socket.on("error", () => {});
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return (server.address() as AddressInfo).port;
  },
};

export type DelayProxyCalls = typeof calls;

answerCalls(calls);
