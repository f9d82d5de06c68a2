import { apiSchema, type ResolvedApiOptions } from "../options/supervisor-options.ts";
import type { ApiBackend } from "./api-backend.ts";
import type { ApiResponder } from "./api-message.ts";
import type { ApiServer } from "./api-server.ts";

/** The management API of a supervisor, made when it is first asked: most are never asked. */
export class ManagementApi {
  readonly #backend: ApiBackend;
  readonly #options: ResolvedApiOptions;
  #responder: Promise<ApiResponder> | undefined;

  constructor(backend: ApiBackend, options: ResolvedApiOptions | undefined) {
    this.#backend = backend;
    this.#options = options ?? apiSchema.parse({});
  }

  /** Answers a request that came to a server which isn't ours. */
  async fetch(request: Request): Promise<Response> {
    const { answerFetch } = await import("./fetch-adapter.ts");
    return answerFetch(request, await this.#load());
  }

  /** @throws `SUPERVISOR_API_UNPROTECTED`, `SUPERVISOR_API_LISTEN_FAILED` */
  async listen(): Promise<ApiServer> {
    const { openApiServer } = await import("./api-server.ts");
    return openApiServer(async (request) => (await this.#load())(request), this.#options);
  }

  #load(): Promise<ApiResponder> {
    this.#responder ??= import("./api-app.ts").then(({ createApiApp }) =>
      createApiApp(this.#backend, this.#options),
    );
    return this.#responder;
  }
}
