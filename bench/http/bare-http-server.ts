/**
 * The least that an HTTP server can do in Node: it reads each body and answers, without keeping or
 * checking anything.
 *
 * @module
 */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { ServerCalls } from "../ingest/server-calls.ts";
import { answerCalls } from "../process/answer-calls.ts";
import { startUsage, type Usage } from "../process/process-usage.ts";

let payloads = 0;
let payloadsAtBegin = 0;
let endUsage: () => Usage = startUsage();

const server = createServer((request, response) => {
  request.on("data", () => {});
  request.on("end", () => {
    payloads++;
    response.writeHead(202, { "content-type": "application/json", "content-length": "2" });
    response.end("{}");
  });
});

const calls: ServerCalls = {
  async start() {
    server.listen({ host: "127.0.0.1", port: 0 });
    await once(server, "listening");
    return { port: (server.address() as AddressInfo).port };
  },
  begin() {
    payloadsAtBegin = payloads;
    endUsage = startUsage();
  },
  end: () => ({ payloads: payloads - payloadsAtBegin, commits: 0, usage: endUsage() }),
  async stop() {
    server.close();
    server.closeAllConnections();
  },
};

answerCalls(calls);
