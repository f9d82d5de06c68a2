/** One worker process: it serves all seven roles. */
import { createQueueWorker } from "@millrace/queue";
import { connectSupervisor } from "@millrace/supervisor/child";
import pino from "pino";
import { createAgents } from "./agents.ts";
import { createPlatform, readConfig } from "./platform.ts";
import { Records } from "./records.ts";

const logger = pino({ level: "warn" }, pino.destination(2));
const config = readConfig();
const platform = createPlatform(config, logger);
const records = new Records({ port: config.recordsPort, token: config.secret });
const agents = createAgents(platform, config, records);
const workers = [...platform.queues].flatMap(([role, queue]) => {
  const handler = agents.handlers.get(role);
  return handler
    ? [createQueueWorker({ queue, handler, concurrency: 4, callbacks: platform.callbacks, logger })]
    : [];
});

const components = [records.client, ...platform.components, agents.limits, ...workers];
const supervisor = connectSupervisor({
  async onDrain() {
    for (const component of components.toReversed()) await component.close({ graceMs: 5_000 });
    await agents.close();
    platform.redis.disconnect();
  },
});
for (const component of components) await component.start();
supervisor.ready();
