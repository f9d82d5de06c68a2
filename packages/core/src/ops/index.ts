/**
 * Health and metrics of an application over HTTP.
 *
 * @example
 * ```ts
 * import { createBuffer } from "@millrace/core/buffer";
 * import { createOpsServer } from "@millrace/core/ops";
 *
 * const buffer = createBuffer({ path: "telemetry/buffer.db" });
 * const ops = createOpsServer({ components: [buffer], port: 0 });
 * await ops.start();
 * const { status } = await fetch(`http://127.0.0.1:${ops.address()?.port}/healthz`);
 * console.log(status);
 * await ops.close();
 * ```
 *
 * @module
 */
export {
  type OpsServerOptions,
  opsServerOptionsSchema,
  type ResolvedOpsServerOptions,
} from "./ops-options.ts";
export { createOpsServer, type OpsServer } from "./ops-server.ts";
