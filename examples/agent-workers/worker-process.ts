/** One worker process: it serves all seven roles. */
import { runUntilSignal } from "@millrace/core";
import { createQueueWorker } from "@millrace/queue";
import pino from "pino";
import { createAgents } from "./agents.ts";
import { createPlatform, readConfig } from "./platform.ts";
import { Store } from "./store.ts";

const logger = pino({ level: "warn" }, pino.destination(2));
const config = readConfig();
const platform = createPlatform(config, logger);
const store = new Store(config.postgresUrl);
const agents = createAgents(platform, config, store);
const workers = [...platform.queues].flatMap(([role, queue]) => {
  const handler = agents.handlers.get(role);
  return handler
    ? [createQueueWorker({ queue, handler, concurrency: 4, callbacks: platform.callbacks, logger })]
    : [];
});

await runUntilSignal([...platform.components, agents.limits, ...workers], {
  logger,
  onReady: () => process.send?.({ ready: true }),
});
await agents.close();
await store.close();
platform.redis.disconnect();
process.disconnect?.();
