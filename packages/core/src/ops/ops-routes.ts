import { Hono } from "hono";
import type { Component } from "../component.ts";
import { messageOf } from "../errors.ts";
import { checkHealth, checkReadiness, type HealthReport } from "../health.ts";
import type { Logger } from "../logger.ts";
import type { MetricsRegistry } from "../metrics.ts";

/** The ops pages as a fetch handler: `/healthz`, `/readyz` and `/metrics`. */
export function createOpsRoutes(
  components: readonly Component[],
  metrics: MetricsRegistry,
  logger: Logger,
): (request: Request) => Response | Promise<Response> {
  const routes = new Hono();
  routes.get("/healthz", () => toResponse(checkHealth(components)));
  routes.get("/readyz", () => toResponse(checkReadiness(components)));
  routes.get(
    "/metrics",
    async () =>
      new Response(await metrics.metrics(), { headers: { "content-type": metrics.contentType } }),
  );
  routes.onError((error) => {
    logger.error({ err: error }, "an ops page failed");
    return new Response(`failed: ${messageOf(error)}\n`, { status: 500 });
  });
  return (request) => routes.fetch(request);
}

function toResponse(report: HealthReport): Response {
  return Response.json(report, { status: report.healthy ? 200 : 503 });
}
