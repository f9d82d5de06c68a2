/**
 * For Node.js code that runs under a supervisor: says when it is ready, drains when it is told to,
 * and reports how busy it is. Without a supervisor all of it does nothing, so the same program runs
 * alone too.
 *
 * @example
 * ```ts
 * import { createServer } from "node:http";
 * import { connectSupervisor, drainHttpServer, sharedListener } from "@millrace/supervisor/child";
 *
 * const server = createServer((_, response) => response.end("ok"));
 * const supervisor = connectSupervisor({ onDrain: () => drainHttpServer(server) });
 * server.listen(sharedListener() ?? { port: 8080 }, () => supervisor.ready());
 * ```
 *
 * @module
 */
export {
  type ChildOptions,
  connectSupervisor,
  type DrainContext,
  type SupervisorConnection,
} from "./connect-supervisor.ts";
export { drainHttpServer, type HttpDrainOptions } from "./http-drain.ts";
export { type ListenTarget, sharedListener } from "./shared-listener.ts";
