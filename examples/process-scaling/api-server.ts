// One of several HTTP workers on one shared port.
import { createServer } from "node:http";
import { connectSupervisor, drainHttpServer, sharedListener } from "@millrace/supervisor/child";

const server = createServer((_, response) => response.end(process.env["MILLRACE_INSTANCE_ID"]));
const supervisor = connectSupervisor({ onDrain: () => drainHttpServer(server) });
server.listen(sharedListener() ?? { port: 8080 }, () => supervisor.ready());
