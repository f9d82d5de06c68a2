/**
 * The least that an HTTP server can do in Node: it reads each body and answers, without keeping or
 * checking anything.
 *
 * @module
 */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { answerServerCalls } from "../ingest/answer-server-calls.ts";

let payloads = 0;

const server = createServer((request, response) => {
  request.on("data", () => {});
  request.on("end", () => {
    payloads++;
    response.writeHead(202, { "content-type": "application/json", "content-length": "2" });
    response.end("{}");
  });
});

answerServerCalls(() => ({ payloads, commits: 0 }), {
  async start() {
    server.listen({ host: "127.0.0.1", port: 0 });
    await once(server, "listening");
    return { port: (server.address() as AddressInfo).port };
  },
  async stop() {
    server.close();
    server.closeAllConnections();
  },
});
