import type { Component } from "../component.ts";
import { messageOf } from "../errors.ts";
import { checkHealth, checkReadiness, type HealthReport } from "../health.ts";
import type { Logger } from "../logger.ts";
import type { MetricsRegistry } from "../metrics.ts";

/** What is answered to a request. */
export interface OpsPage {
  status: number;
  contentType: string;
  body: string;
}

const TEXT = "text/plain; charset=utf-8";

/**
 * The ops pages by path: `/healthz`, `/readyz` and `/metrics`. Three of them need no router, and `Request`
 * and `Response` cost a process 20 MiB: see docs/decisions/0013.
 */
export function createOpsPages(
  components: readonly Component[],
  metrics: MetricsRegistry,
  logger: Logger,
): (method: string, path: string) => Promise<OpsPage> {
  const pages = new Map<string, () => OpsPage | Promise<OpsPage>>([
    ["/healthz", () => reportPage(checkHealth(components))],
    ["/readyz", () => reportPage(checkReadiness(components))],
    [
      "/metrics",
      async () => ({
        status: 200,
        contentType: metrics.contentType,
        body: await metrics.metrics(),
      }),
    ],
  ]);
  return async (method, path) => {
    const page = method === "GET" || method === "HEAD" ? pages.get(path) : undefined;
    if (page === undefined) return { status: 404, contentType: TEXT, body: "404 Not Found" };
    try {
      return await page();
    } catch (error) {
      logger.error({ err: error }, "an ops page failed");
      return { status: 500, contentType: TEXT, body: `failed: ${messageOf(error)}\n` };
    }
  };
}

function reportPage(report: HealthReport): OpsPage {
  return {
    status: report.healthy ? 200 : 503,
    contentType: "application/json",
    body: JSON.stringify(report),
  };
}
