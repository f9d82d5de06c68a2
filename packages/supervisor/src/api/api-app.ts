import { AddressFilter } from "@millrace/core";
import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import type { ResolvedApiOptions } from "../options/supervisor-options.ts";
import type { ApiBackend } from "./api-backend.ts";
import { answerError, ApiError, bodyTooLarge } from "./api-error.ts";
import { createHandlers } from "./api-handlers.ts";
import { API_SCOPES, type RouteKey } from "./api-scopes.ts";
import { Authentication } from "./authentication.ts";
import { isLoopback } from "./loopback.ts";
import { RateLimiter } from "./rate-limiter.ts";

/** What the server that carries a request knows about it. */
interface ApiEnv {
  Bindings: {
    /** Address of the peer itself, never of a header that it sent; `unix`, `mounted` or `unknown`. */
    peer: string;
  };
}

/** Peers that a file's permissions, or somebody else's server, have let in. */
const WITHOUT_ADDRESS: ReadonlySet<string> = new Set(["unix", "mounted"]);

/** Statuses of requests that are refused for who sends them, or how many. */
const REFUSALS: ReadonlySet<number> = new Set([401, 403, 429]);

/** The management API on top of a supervisor. */
export function createApiApp(backend: ApiBackend, options: ResolvedApiOptions): Hono<ApiEnv> {
  const app = new Hono<ApiEnv>();
  const limiter = new RateLimiter(options.requestsPerSecond);
  const addresses = new AddressFilter(options);
  const authentication = new Authentication(options.tokens);
  app.onError((error, context) => {
    if (error instanceof ApiError && REFUSALS.has(error.status)) {
      backend.countRefusal(error.code.toLowerCase());
    }
    return answerError(context, error, backend.logger);
  });
  app.notFound((context) => {
    throw new ApiError(404, "NOT_FOUND", `there is no ${context.req.method} ${context.req.path}`);
  });
  app.use(async (context, next) => {
    context.header("Cache-Control", "no-store");
    const { peer } = context.env;
    if (!WITHOUT_ADDRESS.has(peer) && !addresses.allows(peer)) {
      // What it goes on sending is not wanted either.
      context.header("Connection", "close");
      throw new ApiError(403, "ADDRESS_REFUSED", `${peer} may not use the management API`);
    }
    const waitSeconds = limiter.take(peer);
    if (waitSeconds > 0) {
      context.header("Retry-After", String(Math.ceil(waitSeconds)));
      throw new ApiError(429, "TOO_MANY_REQUESTS", "too many requests, try again later");
    }
    if (!authentication.required) refuseOtherSites(context);
    await next();
  });
  const { maxBodyBytes } = options;
  app.use(
    bodyLimit({
      maxSize: maxBodyBytes,
      onError: () => {
        throw bodyTooLarge(maxBodyBytes);
      },
    }),
  );
  const handlers = createHandlers(backend);
  for (const key of Object.keys(API_SCOPES) as RouteKey[]) {
    const [method = "", path = ""] = key.split(" ");
    const scope = API_SCOPES[key];
    app.on(method.toUpperCase(), path.replaceAll(/\{(\w+)\}/g, ":$1"), (context) => {
      if (scope !== undefined) {
        const actor = authentication.check(context.req.header("authorization"), scope);
        if (method === "post") {
          const fields = { actor, peer: context.env.peer, path: context.req.path };
          backend.logger.info(fields, "management API change");
        }
      }
      return handlers[key](context);
    });
  }
  return app;
}

/**
 * Without tokens the loopback address is the only guard, which a web page in a local browser passes:
 * by a cross-site request, which carries an Origin, or by a name of its own that resolves to 127.0.0.1.
 */
function refuseOtherSites({ req }: Context): void {
  // A request for a whole address has two names of its host.
  const hosts = [req.url, `http://${req.header("host") ?? "localhost"}`];
  const isLocal = hosts.every((url) => isLoopback(URL.parse(url)?.hostname ?? ""));
  if (req.header("origin") === undefined && isLocal) return;
  throw new ApiError(
    403,
    "OTHER_SITE",
    "without tokens only requests to a loopback address and not from web pages are answered",
  );
}
