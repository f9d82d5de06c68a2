import type { Queue } from "./queue.ts";
import { assertDesiredWorkersOptions, type DesiredWorkersOptions } from "./queue-status.ts";

/** What the endpoint answers: a number for each role, and all of them together. */
export interface DesiredWorkersAnswer {
  /** Sum over all queues. */
  desiredWorkers: number;
  roles: Record<string, number>;
}

/**
 * A fetch handler that tells autoscalers, KEDA's `metrics-api` scaler for one, how many worker processes
 * some queues keep busy. Check first who asks.
 *
 * @returns a handler for GET; other methods are answered with 405, a Redis that is away with 503.
 * @throws {@link MillraceError} `CONFIG_INVALID` for bad options.
 */
export function desiredWorkersEndpoint(
  queues: readonly Queue[],
  options: DesiredWorkersOptions,
): (request: Request) => Promise<Response> {
  assertDesiredWorkersOptions(options);
  return async (request) => {
    if (request.method !== "GET") return new Response(undefined, { status: 405 });
    try {
      const entries = await Promise.all(
        queues.map(async (queue) => [queue.role, await queue.desiredWorkers(options)] as const),
      );
      const answer: DesiredWorkersAnswer = {
        desiredWorkers: entries.reduce((sum, [, workers]) => sum + workers, 0),
        roles: Object.fromEntries(entries),
      };
      return Response.json(answer, { headers: { "cache-control": "no-store" } });
    } catch {
      // A scaler keeps what it has when it gets no number; a wrong one would end workers.
      return Response.json({ error: "unavailable" }, { status: 503 });
    }
  };
}
