import * as z from "zod";
import type { Component } from "../component.ts";
import type { Logger } from "../logger.ts";
import type { MetricsRegistry } from "../metrics.ts";

/** Options of {@link createOpsServer}. */
export interface OpsServerOptions {
  /** Whose health is reported. */
  components: Component[];
  /** Address to listen on. @default "127.0.0.1" */
  host?: string | undefined;
  /** 0 picks a free one. @default 2409 */
  port?: number | undefined;
  /** pino-compatible. @default pino at `info` on stderr */
  logger?: Logger | undefined;
  /** What `/metrics` shows. @default the process's prom-client registry */
  metrics?: MetricsRegistry | undefined;
}

/** Validates {@link OpsServerOptions} and fills in defaults. */
export const opsServerOptionsSchema = z.strictObject({
  components: z.array(
    z.custom<Component>(
      (value) => typeof value === "object" && value !== null && "health" in value,
      "expected a component such as createBuffer returns",
    ),
  ),
  host: z.string().min(1).default("127.0.0.1"),
  port: z.int().min(0).max(65_535).default(2409),
  logger: z.custom<Logger>().optional(),
  metrics: z.custom<MetricsRegistry>().optional(),
});

/** {@link OpsServerOptions} after defaults. */
export type ResolvedOpsServerOptions = z.output<typeof opsServerOptionsSchema>;
