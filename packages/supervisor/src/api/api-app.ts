import type { ResolvedApiOptions } from "../options/supervisor-options.ts";
import type { ApiBackend } from "./api-backend.ts";
import { answerError, ApiError, bodyTooLarge } from "./api-error.ts";
import { type ApiHandler, createHandlers } from "./api-handlers.ts";
import type { ApiAnswer, ApiRequest, ApiResponder } from "./api-message.ts";
import { API_SCOPES, type RouteKey } from "./api-scopes.ts";
import { Authentication, type Scope } from "./authentication.ts";
import { isLoopback } from "./loopback.ts";
import { RateLimiter } from "./rate-limiter.ts";

interface Route {
  method: string;
  pattern: RegExp;
  scope: Scope | undefined;
  handler: ApiHandler;
}

/** The management API on top of a supervisor, whatever server carries it. */
export function createApiApp(backend: ApiBackend, options: ResolvedApiOptions): ApiResponder {
  const limiter = new RateLimiter(options.requestsPerSecond);
  const authentication = new Authentication(options.tokens);
  const routes = bindRoutes(backend, options);
  const answer = async (request: ApiRequest): Promise<ApiAnswer> => {
    const waitSeconds = limiter.take(request.peer);
    if (waitSeconds > 0) {
      throw new ApiError(429, "TOO_MANY_REQUESTS", "too many requests, try again later", {
        "Retry-After": String(Math.ceil(waitSeconds)),
      });
    }
    if (!authentication.required) refuseOtherSites(request);
    if (Number(request.header("content-length") ?? 0) > options.maxBodyBytes) {
      throw bodyTooLarge(options.maxBodyBytes);
    }
    const { method, scope, handler, params } = findRoute(routes, request);
    if (scope !== undefined) {
      const actor = authentication.check(request.header("authorization"), scope);
      if (method === "post") {
        const { peer, path } = request;
        backend.logger.info({ actor, peer, path }, "management API change");
      }
    }
    return handler({ request, ...params });
  };
  return async (request) => {
    const answered = await answer(request).catch((error: unknown) =>
      answerError(error, request.path, backend.logger),
    );
    return { ...answered, headers: { "Cache-Control": "no-store", ...answered.headers } };
  };
}

function bindRoutes(backend: ApiBackend, options: ResolvedApiOptions): Route[] {
  const handlers = createHandlers(backend, options);
  return (Object.keys(API_SCOPES) as RouteKey[]).map((key) => {
    const [method = "", path = ""] = key.split(" ");
    const pattern = new RegExp(`^${path.replaceAll(/\{(\w+)\}/g, "(?<$1>[^/]+)")}$`);
    return { method, pattern, scope: API_SCOPES[key], handler: handlers[key] };
  });
}

function findRoute(
  routes: readonly Route[],
  { method, path }: ApiRequest,
): Route & { params: { name: string; id: string } } {
  const asked = method === "HEAD" ? "get" : method.toLowerCase();
  for (const route of routes) {
    const match = route.method === asked ? route.pattern.exec(path) : null;
    if (match === null) continue;
    const { name = "", id = "" } = match.groups ?? {};
    return { ...route, params: { name: decode(name), id: decode(id) } };
  }
  throw new ApiError(404, "NOT_FOUND", `there is no ${method} ${path}`);
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/**
 * Without tokens the loopback address is the only guard, which a web page in a local browser passes:
 * by a cross-site request, which carries an Origin, or by a name of its own that resolves to 127.0.0.1.
 */
function refuseOtherSites(request: ApiRequest): void {
  if (request.header("origin") === undefined && isLoopback(request.hostname)) return;
  throw new ApiError(
    403,
    "OTHER_SITE",
    "without tokens only requests to a loopback address and not from web pages are answered",
  );
}
