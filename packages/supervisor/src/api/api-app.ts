import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import type { ResolvedApiOptions } from "../options/supervisor-options.ts";
import type { Operation } from "../scaling/operation.ts";
import type { ScheduledProcess } from "../scheduling/scheduled-process.ts";
import type { ApiBackend } from "./api-backend.ts";
import { answerError, ApiError } from "./api-error.ts";
import { API_ROUTES } from "./api-routes.ts";
import { scaleRequestSchema } from "./api-schemas.ts";
import { Authentication } from "./authentication.ts";
import { streamEvents } from "./event-stream.ts";
import { isLoopback } from "./loopback.ts";
import { openApiDocument } from "./openapi.ts";
import { RateLimiter } from "./rate-limiter.ts";

/** What the server that carries a request knows about it. */
interface ApiBindings {
  /** Address of the peer itself, never of a header that it sent. */
  peer: string;
}

type ApiEnv = { Bindings: ApiBindings; Variables: { actor: string } };
type ApiContext = Context<ApiEnv>;
type Handler = (context: ApiContext) => Response | Promise<Response>;

const MAX_LOG_LINES = 10_000;

/** The management API on top of a supervisor, as a Hono application. */
export function createApiApp(backend: ApiBackend, options: ResolvedApiOptions): Hono<ApiEnv> {
  const app = new Hono<ApiEnv>();
  const limiter = new RateLimiter(options.requestsPerSecond);
  const authentication = new Authentication(options.tokens);
  app.onError((error, context) => answerError(context, error, backend.logger));
  app.notFound((context) => {
    throw new ApiError(404, "NOT_FOUND", `there is no ${context.req.method} ${context.req.path}`);
  });
  app.use(async (context, next) => {
    const waitSeconds = limiter.take(context.env.peer);
    if (waitSeconds > 0) {
      context.header("Retry-After", String(Math.ceil(waitSeconds)));
      throw new ApiError(429, "TOO_MANY_REQUESTS", "too many requests, try again later");
    }
    if (!authentication.required) refuseOtherSites(context);
    context.header("Cache-Control", "no-store");
    await next();
  });
  app.use(
    bodyLimit({
      maxSize: options.maxBodyBytes,
      onError: () => {
        throw new ApiError(413, "BODY_TOO_LARGE", `the body is over ${options.maxBodyBytes} bytes`);
      },
    }),
  );
  const handlers = createHandlers(backend);
  for (const { method, path, scope } of API_ROUTES) {
    const handler = handlers[`${method} ${path}`];
    if (handler === undefined) throw new Error(`no handler for ${method} ${path}`);
    app.on(method.toUpperCase(), path.replaceAll(/\{(\w+)\}/g, ":$1"), (context) => {
      if (scope !== undefined) {
        context.set("actor", authentication.check(context.req.header("authorization"), scope));
      }
      if (method === "post") {
        backend.logger.info(
          { actor: context.get("actor"), peer: context.env.peer, path: context.req.path },
          "management API change",
        );
      }
      return handler(context);
    });
  }
  return app;
}

function createHandlers(backend: ApiBackend): Record<string, Handler | undefined> {
  const operationOf = (context: ApiContext): Operation =>
    backend.fleet.operation(context.req.param("id") ?? "");
  return {
    "get /api/v1/health": (context) => context.json({ status: "healthy" }),
    "get /api/v1/ready": (context) => {
      const readiness = backend.readiness();
      return context.json(readiness, readiness.ready ? 200 : 503);
    },
    "get /api/v1/openapi.json": (context) => context.json(openApiDocument()),
    "get /api/v1/processes": (context) => {
      const processes = backend.statuses();
      if (context.req.query("flat") !== "true") return context.json({ processes });
      const flat = processes.flatMap(({ instances }) =>
        instances.map(({ name, state, pid, uptime }) => ({ name, state, pid, uptime })),
      );
      return context.json(flat);
    },
    "get /api/v1/processes/{name}": (context) => context.json(backend.statusOf(nameOf(context))),
    "post /api/v1/processes/{name}/scale": async (context) => {
      const name = nameOf(context);
      const request = await readScaleRequest(context);
      const { scale: current } = backend.statusOf(name);
      const { step, delayMs } = request;
      const operation = backend.fleet.scale(name, request, { step, delayMs }, "api");
      const { desired } = backend.fleet.process(name);
      return context.json(
        {
          status: "scaling",
          process: name,
          current,
          desired,
          message: `Scaling from ${current} to ${desired} instances`,
          operation: operation.id,
        },
        202,
      );
    },
    "post /api/v1/processes/{name}/start": (context) =>
      accept(context, "starting", backend.fleet.start(nameOf(context), "started over the API")),
    "post /api/v1/processes/{name}/stop": (context) =>
      accept(context, "stopping", backend.fleet.stop(nameOf(context), "stopped over the API")),
    "post /api/v1/processes/{name}/restart": (context) =>
      accept(
        context,
        "restarting",
        backend.fleet.restart(nameOf(context), "restarted over the API"),
      ),
    "post /api/v1/processes/{name}/rollout": (context) =>
      accept(context, "rolling-out", backend.rollout(nameOf(context))),
    "post /api/v1/processes/{name}/rollback": (context) =>
      accept(context, "rolling-back", backend.rollback(nameOf(context))),
    "get /api/v1/processes/{name}/logs": (context) => {
      const name = nameOf(context);
      const limit = readLimit(context.req.query("limit"));
      const logs = backend.logs(name, limit).toReversed();
      return context.json({ process: name, limit, count: logs.length, logs });
    },
    "get /api/v1/logs": (context) => {
      const limit = readLimit(context.req.query("limit"));
      const logs = [...backend.fleet.processes.keys()]
        .flatMap((name) => backend.logs(name, limit))
        .toSorted((left, right) => (left.time < right.time ? 1 : -1))
        .slice(0, limit);
      return context.json({ limit, count: logs.length, logs });
    },
    "get /api/v1/processes/{name}/explain": (context) =>
      context.json(backend.explain(nameOf(context)) as object),
    "get /api/v1/processes/{name}/runs": (context) => {
      const { name } = backend.fleet.process(nameOf(context));
      const limit = readLimit(context.req.query("limit"));
      const runs = backend.runs.of(name).slice(-limit).toReversed();
      return context.json({ process: name, limit, count: runs.length, runs });
    },
    "get /api/v1/operations/{id}": (context) => context.json(operationOf(context).status()),
    "post /api/v1/operations/{id}/cancel": (context) => {
      const operation = operationOf(context);
      operation.cancel();
      return context.json(operation.status());
    },
    ...scheduleHandlers(backend),
    "get /api/v1/events": (context) =>
      streamEvents(backend.journal, context.req.header("last-event-id"), context.req.raw.signal),
    "get /api/v1/autoscaler": (context) => context.json({ decisions: backend.decisions() }),
    "get /api/v1/external/{name}": (context) => {
      const { name, desired, current } = backend.fleet.process(nameOf(context));
      return context.json({ process: name, desired, current });
    },
    "get /metrics": async (context) =>
      context.text(await backend.metricsText(), 200, {
        "Content-Type": "text/plain; version=0.0.4; charset=utf-8",
      }),
  };
}

function scheduleHandlers({ schedules }: ApiBackend): Record<string, Handler> {
  const path = "/api/v1/processes/{name}/schedule";
  const scheduled = (context: ApiContext): ScheduledProcess => schedules.of(nameOf(context));
  return {
    "get /api/v1/schedules": (context) => context.json({ schedules: schedules.statuses() }),
    [`get ${path}`]: (context) => context.json(scheduled(context).status()),
    [`get ${path}/history`]: (context) => {
      const limit = readLimit(context.req.query("limit"));
      const history = scheduled(context).history.slice(-limit).toReversed();
      return context.json({ process: nameOf(context), limit, count: history.length, history });
    },
    [`post ${path}/trigger`]: (context) => {
      const run = scheduled(context).trigger("manual");
      const status = run.outcome === "skipped" ? "skipped" : "triggered";
      return context.json({ status, process: run.process, run }, 202);
    },
    [`post ${path}/pause`]: (context) => {
      scheduled(context).pause();
      return context.json(scheduled(context).status());
    },
    [`post ${path}/resume`]: (context) => {
      scheduled(context).resume();
      return context.json(scheduled(context).status());
    },
  };
}

function accept(context: ApiContext, status: string, operation: Operation): Response {
  const name = nameOf(context);
  const message = `${status} ${name}`;
  return context.json({ status, process: name, operation: operation.id, message }, 202);
}

function nameOf(context: ApiContext): string {
  return context.req.param("name") ?? "";
}

async function readScaleRequest(
  context: ApiContext,
): Promise<
  | { desired: number; step?: number | undefined; delayMs?: number | undefined }
  | { delta: number; step?: number | undefined; delayMs?: number | undefined }
> {
  let body: unknown;
  try {
    body = await context.req.json();
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

function readLimit(text: string | undefined): number {
  const limit = text === undefined ? 100 : Number(text);
  if (Number.isInteger(limit) && limit >= 1 && limit <= MAX_LOG_LINES) return limit;
  throw new ApiError(
    400,
    "LIMIT_INVALID",
    `limit must be a whole number from 1 to ${MAX_LOG_LINES}`,
  );
}

/**
 * Without tokens the loopback address is the only guard, which a web page in a local browser passes:
 * by a cross-site request, which carries an Origin, or by a name of its own that resolves to 127.0.0.1.
 */
function refuseOtherSites(context: ApiContext): void {
  // A request for a whole address has two names of its host.
  const hosts = [context.req.url, `http://${context.req.header("host") ?? "localhost"}`];
  const isLocal = hosts.every((url) => isLoopback(URL.parse(url)?.hostname ?? ""));
  if (context.req.header("origin") === undefined && isLocal) return;
  throw new ApiError(
    403,
    "OTHER_SITE",
    "without tokens only requests to a loopback address and not from web pages are answered",
  );
}
