import type { ResolvedApiOptions } from "../options/supervisor-options.ts";
import type { Operation } from "../scaling/operation.ts";
import type { ApiBackend } from "./api-backend.ts";
import { ApiError } from "./api-error.ts";
import { type ApiAnswer, type ApiRequest, answerJson } from "./api-message.ts";
import { streamEvents } from "./event-stream.ts";
import type { RouteKey } from "./api-scopes.ts";
import { scaleRequestSchema } from "./scale-request.ts";

/** A request with what its path says. */
interface ApiCall {
  request: ApiRequest;
  /** Empty where the path has none. */
  name: string;
  id: string;
}

/** Answers the requests of one route. */
export type ApiHandler = (call: ApiCall) => ApiAnswer | Promise<ApiAnswer>;

const MAX_LOG_LINES = 10_000;

/** What answers each route, by method and path. */
export function createHandlers(
  backend: ApiBackend,
  { maxBodyBytes }: ResolvedApiOptions,
): Record<RouteKey, ApiHandler> {
  const { fleet } = backend;
  return {
    "get /api/v1/health": () => answerJson({ status: "healthy" }),
    "get /api/v1/ready": () => {
      const readiness = backend.readiness();
      return answerJson(readiness, readiness.ready ? 200 : 503);
    },
    "get /api/v1/openapi.json": async () => {
      const { openApiDocument } = await import("./openapi.ts");
      return answerJson(openApiDocument());
    },
    "get /api/v1/processes": ({ request }) => {
      const processes = backend.statuses();
      if (request.query.get("flat") !== "true") return answerJson({ processes });
      const flat = processes.flatMap(({ instances }) =>
        instances.map(({ name, state, pid, uptime }) => ({ name, state, pid, uptime })),
      );
      return answerJson(flat);
    },
    "get /api/v1/processes/{name}": ({ name }) => answerJson(backend.statusOf(name)),
    "post /api/v1/processes/{name}/scale": async ({ request, name }) => {
      const target = await readScaleRequest(request, maxBodyBytes);
      const { scale: current } = backend.statusOf(name);
      const { step, delayMs } = target;
      const operation = fleet.scale(name, target, { step, delayMs }, "api");
      const { desired } = fleet.process(name);
      const answer = {
        status: "scaling",
        process: name,
        current,
        desired,
        message: `Scaling from ${current} to ${desired} instances`,
        operation: operation.id,
      };
      return answerJson(answer, 202);
    },
    "post /api/v1/processes/{name}/start": ({ name }) =>
      accept(name, "starting", fleet.start(name, "started over the API")),
    "post /api/v1/processes/{name}/stop": ({ name }) =>
      accept(name, "stopping", fleet.stop(name, "stopped over the API")),
    "post /api/v1/processes/{name}/restart": ({ name }) =>
      accept(name, "restarting", fleet.restart(name, "restarted over the API")),
    "post /api/v1/processes/{name}/rollout": ({ name }) =>
      accept(name, "rolling-out", backend.rollout(name)),
    "post /api/v1/processes/{name}/rollback": ({ name }) =>
      accept(name, "rolling-back", backend.rollback(name)),
    "get /api/v1/processes/{name}/logs": ({ request, name }) => {
      const limit = readLimit(request);
      const logs = backend.logs(name, limit).toReversed();
      return answerJson({ process: name, limit, count: logs.length, logs });
    },
    "get /api/v1/logs": ({ request }) => {
      const limit = readLimit(request);
      const logs = [...fleet.processes.keys()]
        .flatMap((name) => backend.logs(name, limit))
        .toSorted((left, right) => (left.time < right.time ? 1 : -1))
        .slice(0, limit);
      return answerJson({ limit, count: logs.length, logs });
    },
    "get /api/v1/processes/{name}/explain": ({ name }) => answerJson(backend.explain(name)),
    "get /api/v1/processes/{name}/runs": ({ request, name }) => {
      const limit = readLimit(request);
      const process = fleet.process(name).name;
      const runs = backend.runs.of(process).slice(-limit).toReversed();
      return answerJson({ process, limit, count: runs.length, runs });
    },
    "get /api/v1/operations/{id}": ({ id }) => answerJson(fleet.operation(id).status()),
    "post /api/v1/operations/{id}/cancel": ({ id }) => {
      const operation = fleet.operation(id);
      operation.cancel();
      return answerJson(operation.status());
    },
    ...scheduleHandlers(backend),
    "get /api/v1/events": ({ request }) =>
      streamEvents(backend.journal, request.header("last-event-id"), request.signal),
    "get /api/v1/autoscaler": () => answerJson({ decisions: backend.decisions() }),
    "get /api/v1/external/{name}": ({ name }) => {
      const { desired, current } = fleet.process(name);
      return answerJson({ process: name, desired, current });
    },
    "get /metrics": async () => ({
      status: 200,
      headers: { "Content-Type": "text/plain; version=0.0.4; charset=utf-8" },
      body: await backend.metricsText(),
    }),
  };
}

type ScheduleKey = Extract<RouteKey, `${string}/schedule${string}`>;

function scheduleHandlers({
  schedules,
}: ApiBackend): Record<ScheduleKey | "get /api/v1/schedules", ApiHandler> {
  return {
    "get /api/v1/schedules": () => answerJson({ schedules: schedules.statuses() }),
    "get /api/v1/processes/{name}/schedule": ({ name }) => answerJson(schedules.of(name).status()),
    "get /api/v1/processes/{name}/schedule/history": ({ request, name }) => {
      const limit = readLimit(request);
      const history = schedules.of(name).history.slice(-limit).toReversed();
      return answerJson({ process: name, limit, count: history.length, history });
    },
    "post /api/v1/processes/{name}/schedule/trigger": ({ name }) => {
      const run = schedules.of(name).trigger("manual");
      const status = run.outcome === "skipped" ? "skipped" : "triggered";
      return answerJson({ status, process: run.process, run }, 202);
    },
    "post /api/v1/processes/{name}/schedule/pause": ({ name }) => {
      schedules.of(name).pause();
      return answerJson(schedules.of(name).status());
    },
    "post /api/v1/processes/{name}/schedule/resume": ({ name }) => {
      schedules.of(name).resume();
      return answerJson(schedules.of(name).status());
    },
  };
}

function accept(name: string, status: string, operation: Operation): ApiAnswer {
  const message = `${status} ${name}`;
  return answerJson({ status, process: name, operation: operation.id, message }, 202);
}

async function readScaleRequest(request: ApiRequest, maxBytes: number) {
  const text = await request.readBody(maxBytes);
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw new ApiError(
      400,
      "BODY_INVALID",
      'the body is no JSON: send {"desired": 10} or {"delta": -2}',
    );
  }
  const parsed = scaleRequestSchema.safeParse(body);
  if (parsed.success) return parsed.data;
  throw new ApiError(
    400,
    "BODY_INVALID",
    "expected { desired } from 0 up or { delta }, whole numbers, and optionally step and delayMs",
  );
}

function readLimit({ query }: ApiRequest): number {
  const text = query.get("limit");
  const limit = text === null ? 100 : Number(text);
  if (Number.isInteger(limit) && limit >= 1 && limit <= MAX_LOG_LINES) return limit;
  throw new ApiError(
    400,
    "LIMIT_INVALID",
    `limit must be a whole number from 1 to ${MAX_LOG_LINES}`,
  );
}
