// One server for all managers: drains the lame-duck way on every signal and message that they send.
import { createServer } from "node:http";
import { connectSupervisor, drainHttpServer, sharedListener } from "@millrace/supervisor/child";

const server = createServer((_, response) => {
  setTimeout(() => response.end("ok"), 30);
});
server.keepAliveTimeout = 2_000;
const supervisor = connectSupervisor({
  onDrain: () => drainHttpServer(server, { timeoutMs: 7_000 }),
});
const port = Number(process.env["PORT"]);
const target = process.env["LISTEN_ON_FD"] === undefined ? { port, host: "127.0.0.1" } : { fd: 0 };
server.listen(sharedListener() ?? target, () => {
  supervisor.ready();
  if (process.env["PM2_HOME"] !== undefined) process.send?.("ready");
});
