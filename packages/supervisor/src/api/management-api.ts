import { apiSchema, type ResolvedApiOptions } from "../options/supervisor-options.ts";
import type { ApiBackend } from "./api-backend.ts";
import type { ApiServer, AnswerRequest } from "./api-server.ts";

/** The management API of a supervisor, made when it is first asked: without it, Hono is never loaded. */
export class ManagementApi {
  readonly #backend: ApiBackend;
  readonly #options: ResolvedApiOptions;
  #answer: Promise<AnswerRequest> | undefined;

  constructor(backend: ApiBackend, options: ResolvedApiOptions | undefined) {
    this.#backend = backend;
    this.#options = options ?? apiSchema.parse({});
  }

  /** Answers a request that came to a server which isn't ours. */
  async fetch(request: Request): Promise<Response> {
    const answer = await this.#load();
    return answer(request, { peer: "mounted" });
  }

  /** @throws `SUPERVISOR_API_UNPROTECTED`, `SUPERVISOR_API_LISTEN_FAILED` */
  async listen(): Promise<ApiServer> {
    const { openApiServer } = await import("./api-server.ts");
    return openApiServer(await this.#load(), this.#options);
  }

  #load(): Promise<AnswerRequest> {
    this.#answer ??= import("./api-app.ts").then(({ createApiApp }) => {
      const app = createApiApp(this.#backend, this.#options);
      return async (request, bindings) => app.fetch(request, bindings);
    });
    return this.#answer;
  }
}
