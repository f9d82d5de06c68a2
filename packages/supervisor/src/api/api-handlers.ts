import type { Context } from "hono";
import type { Operation } from "../scaling/operation.ts";
import type { ApiBackend } from "./api-backend.ts";
import { ApiError } from "./api-error.ts";
import { streamEvents } from "./event-stream.ts";
import type { RouteKey } from "./api-scopes.ts";
import { scaleRequestSchema } from "./scale-request.ts";

/** Answers the requests of one route. */
type ApiHandler = (context: Context) => Response | Promise<Response>;

const MAX_LOG_LINES = 10_000;

/** What answers each route, by method and path. */
export function createHandlers(backend: ApiBackend): Record<RouteKey, ApiHandler> {
  const { fleet, views } = backend;
  return {
    "get /api/v1/health": (context) => context.json({ status: "healthy" }),
    "get /api/v1/ready": (context) => {
      const readiness = views.readiness();
      return context.json(readiness, readiness.ready ? 200 : 503);
    },
    "get /api/v1/openapi.json": async (context) => {
      const { openApiDocument } = await import("./openapi.ts");
      return context.json(openApiDocument());
    },
    "get /api/v1/processes": (context) => {
      const processes = views.statuses();
      if (context.req.query("flat") !== "true") return context.json({ processes });
      const flat = processes.flatMap(({ instances }) =>
        instances.map(({ name, state, pid, uptime }) => ({ name, state, pid, uptime })),
      );
      return context.json(flat);
    },
    "get /api/v1/processes/{name}": (context) => context.json(views.statusOf(nameOf(context))),
    "post /api/v1/processes/{name}/scale": async (context) => {
      const name = nameOf(context);
      const target = await readScaleRequest(context);
      const { scale: current } = views.statusOf(name);
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
      return context.json(answer, 202);
    },
    "post /api/v1/processes/{name}/start": (context) =>
      accept(context, "starting", (name) => fleet.start(name, "started over the API")),
    "post /api/v1/processes/{name}/stop": (context) =>
      accept(context, "stopping", (name) => fleet.stop(name, "stopped over the API")),
    "post /api/v1/processes/{name}/restart": (context) =>
      accept(context, "restarting", (name) => fleet.restart(name, "restarted over the API")),
    "post /api/v1/processes/{name}/rollout": (context) =>
      accept(context, "rolling-out", (name) => backend.rollout(name)),
    "post /api/v1/processes/{name}/rollback": (context) =>
      accept(context, "rolling-back", (name) => backend.rollback(name)),
    "get /api/v1/processes/{name}/logs": (context) => {
      const name = nameOf(context);
      const limit = readLimit(context);
      const logs = views.logs(name, limit).toReversed();
      return context.json({ process: name, limit, count: logs.length, logs });
    },
    "get /api/v1/logs": (context) => {
      const limit = readLimit(context);
      const logs = [...fleet.processes.keys()]
        .flatMap((name) => views.logs(name, limit))
        .toSorted((left, right) => (left.time < right.time ? 1 : -1))
        .slice(0, limit);
      return context.json({ limit, count: logs.length, logs });
    },
    "get /api/v1/processes/{name}/explain": (context) =>
      context.json(views.explain(nameOf(context)) as object),
    "get /api/v1/processes/{name}/runs": (context) => {
      const limit = readLimit(context);
      const process = fleet.process(nameOf(context)).name;
      const runs = backend.runs.of(process).slice(-limit).toReversed();
      return context.json({ process, limit, count: runs.length, runs });
    },
    "get /api/v1/operations/{id}": (context) => context.json(operationOf(context).status()),
    "post /api/v1/operations/{id}/cancel": (context) => {
      const operation = operationOf(context);
      operation.cancel();
      return context.json(operation.status());
    },
    ...scheduleHandlers(backend),
    "get /api/v1/events": ({ req }) =>
      streamEvents(backend.journal, req.header("last-event-id"), req.raw.signal),
    "get /api/v1/autoscaler": (context) => context.json({ decisions: backend.decisions() }),
    "get /api/v1/external/{name}": (context) => {
      const { name, desired, current } = fleet.process(nameOf(context));
      return context.json({ process: name, desired, current });
    },
    "get /metrics": async (context) =>
      context.text(await backend.metricsText(), 200, {
        "Content-Type": "text/plain; version=0.0.4; charset=utf-8",
      }),
  };

  function operationOf({ req }: Context): Operation {
    return fleet.operation(req.param("id") ?? "");
  }
}

type ScheduleKey = Extract<RouteKey, `${string}/schedule${string}`>;

function scheduleHandlers({
  schedules,
}: ApiBackend): Record<ScheduleKey | "get /api/v1/schedules", ApiHandler> {
  return {
    "get /api/v1/schedules": (context) => context.json({ schedules: schedules.statuses() }),
    "get /api/v1/processes/{name}/schedule": (context) =>
      context.json(schedules.of(nameOf(context)).status()),
    "get /api/v1/processes/{name}/schedule/history": (context) => {
      const name = nameOf(context);
      const limit = readLimit(context);
      const history = schedules.of(name).history.slice(-limit).toReversed();
      return context.json({ process: name, limit, count: history.length, history });
    },
    "post /api/v1/processes/{name}/schedule/trigger": (context) => {
      const run = schedules.of(nameOf(context)).trigger("manual");
      const status = run.outcome === "skipped" ? "skipped" : "triggered";
      return context.json({ status, process: run.process, run }, 202);
    },
    "post /api/v1/processes/{name}/schedule/pause": (context) => {
      const schedule = schedules.of(nameOf(context));
      schedule.pause();
      return context.json(schedule.status());
    },
    "post /api/v1/processes/{name}/schedule/resume": (context) => {
      const schedule = schedules.of(nameOf(context));
      schedule.resume();
      return context.json(schedule.status());
    },
  };
}

function nameOf({ req }: Context): string {
  return req.param("name") ?? "";
}

function accept(context: Context, status: string, begin: (name: string) => Operation): Response {
  const name = nameOf(context);
  const operation = begin(name);
  const message = `${status} ${name}`;
  return context.json({ status, process: name, operation: operation.id, message }, 202);
}

async function readScaleRequest({ req }: Context) {
  let body: unknown;
  try {
    body = await req.json();
  } catch (error) {
    if (error instanceof ApiError) throw error;
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

function readLimit({ req }: Context): number {
  const text = req.query("limit");
  const limit = text === undefined ? 100 : Number(text);
  if (Number.isInteger(limit) && limit >= 1 && limit <= MAX_LOG_LINES) return limit;
  throw new ApiError(
    400,
    "LIMIT_INVALID",
    `limit must be a whole number from 1 to ${MAX_LOG_LINES}`,
  );
}
