import { apiSchema, type ResolvedApiOptions } from "../options/supervisor-options.ts";
import type { ApiBackend } from "./api-backend.ts";
import type { ApiServer } from "./api-server.ts";

type FetchHandler = (request: Request, bindings: { peer: string }) => Promise<Response>;

/** Makes the management API when it is first asked for: without it, Hono is never loaded. */
export class ApiHandler {
  readonly #backend: ApiBackend;
  readonly #options: ResolvedApiOptions;
  #handler: Promise<FetchHandler> | undefined;

  constructor(backend: ApiBackend, options: ResolvedApiOptions | undefined) {
    this.#backend = backend;
    this.#options = options ?? apiSchema.parse({});
  }

  /** Answers a request of a server that isn't ours; `peer` keys the rate limit. */
  async fetch(request: Request, peer: string | undefined): Promise<Response> {
    const handle = await this.#load();
    return handle(request, { peer: peer ?? "mounted" });
  }

  /** @throws `SUPERVISOR_API_UNPROTECTED`, `SUPERVISOR_API_LISTEN_FAILED` */
  async listen(): Promise<ApiServer> {
    const { openApiServer } = await import("./api-server.ts");
    return openApiServer(await this.#load(), this.#options);
  }

  #load(): Promise<FetchHandler> {
    this.#handler ??= import("./api-app.ts").then(({ createApiApp }) => {
      const app = createApiApp(this.#backend, this.#options);
      return async (request: Request, bindings: { peer: string }) => app.fetch(request, bindings);
    });
    return this.#handler;
  }
}
