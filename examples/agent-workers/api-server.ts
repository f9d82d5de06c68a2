/** One of several API processes: any of them takes campaigns and serves any tenant's events. */
import { randomUUID } from "node:crypto";
import { Readable } from "node:stream";
import { createBullBoard } from "@bull-board/api";
import { FastifyAdapter } from "@bull-board/fastify";
import { MillraceError } from "@millrace/core";
import { desiredWorkersEndpoint } from "@millrace/queue";
import { createBoardAdapters } from "@millrace/queue/bull-board";
import Fastify from "fastify";
import pino from "pino";
import { createPlatform, readConfig } from "./platform.ts";

const logger = pino({ level: "warn" }, pino.destination(2));
const platform = createPlatform(readConfig(), logger);
for (const component of platform.components) await component.start();

// Streams of events have no end of their own.
const app = Fastify({ forceCloseConnections: true });
// Signatures are made over the bytes as sent.
app.addContentTypeParser("*", { parseAs: "string" }, (_request, body, done) => done(null, body));

app.post<{ Body: { tenantId: string; brief: string; roles: string[] } }>(
  "/campaigns",
  async (request, reply) => {
    const { tenantId, brief, roles } = request.body;
    const campaignId = randomUUID();
    const planner = platform.queues.get("activity-planner");
    if (!planner) return reply.code(500).send();
    const { taskId } = await planner.add({
      tenantId,
      priority: "urgent",
      data: { campaignId, brief, roles },
      labels: { campaignId },
    });
    return reply.code(202).send({ campaignId, taskId });
  },
);

app.get<{ Params: { tenantId: string } }>("/tenants/:tenantId/events", async (request, reply) => {
  const last = request.headers["last-event-id"];
  const response = await platform.events.sse(
    request.params.tenantId,
    typeof last === "string" ? last : undefined,
  );
  void reply.headers(Object.fromEntries(response.headers));
  return reply.send(Readable.fromWeb(response.body as never));
});

app.post<{ Body: string }>("/callbacks/*", async (request, reply) => {
  const response = await platform.callbacks.fetch(
    new Request(new URL(request.url, "http://control"), {
      method: "POST",
      headers: request.headers as Record<string, string>,
      body: request.body,
    }),
  );
  return reply.code(response.status).send(await response.json());
});

// For an autoscaler outside, such as KEDA's metrics-api; tasks, for one worker process serves all roles.
const scaler = desiredWorkersEndpoint([...platform.queues.values()], { concurrency: 1 });
app.get("/desired-workers", async (_request, reply) => {
  const response = await scaler(new Request("http://control/desired-workers"));
  return reply.code(response.status).send(await response.json());
});

app.setErrorHandler((error, _request, reply) => {
  const isOurs = MillraceError.is(error);
  return reply.code(isOurs ? 422 : 500).send({ code: isOurs ? error.code : "INTERNAL" });
});

const board = new FastifyAdapter();
board.setBasePath("/admin/queues");
createBullBoard({
  queues: (
    await Promise.all([...platform.queues.values()].map((queue) => createBoardAdapters(queue)))
  ).flat(),
  serverAdapter: board,
});
await app.register(board.registerPlugin(), { prefix: "/admin/queues" });

const address = await app.listen({ host: "127.0.0.1", port: Number(process.env["PORT"] ?? 0) });
process.send?.({ url: address });
process.once("SIGTERM", () => {
  void (async () => {
    for (const component of platform.components.toReversed()) await component.close();
    await app.close();
    platform.redis.disconnect();
    process.exit(0);
  })();
});
