import { addressRuleSchema, type Logger, type MetricsRegistry } from "@millrace/core";
import * as z from "zod";
import type { ProcessOptions } from "./process-options.ts";
import { processSchema } from "./process-schema.ts";
import { type SupervisorHooks, supervisorHooksSchema } from "./hook-options.ts";
import { strictOptions } from "./strict-options.ts";

/** A bearer token and what it may do. */
export interface ApiToken {
  /** For the audit log; never secret. */
  name?: string | undefined;
  /** At least 8 characters. */
  token: string;
  /** `read` looks, `write` changes. @default ["read", "write"] */
  scopes?: Array<"read" | "write"> | undefined;
}

/** Where and for whom the management API is served. */
export interface ApiOptions {
  /** Port to listen on, 0 takes a free one. @default 9180, none with `socket` */
  port?: number | undefined;
  /** Anything but a loopback address needs `tokens`. @default "127.0.0.1" */
  host?: string | undefined;
  /** Path of a Unix socket, created with mode 0600. */
  socket?: string | undefined;
  /** Who may use it; a plain string may read and write. @default [], for loopback and sockets only */
  tokens?: Array<string | ApiToken> | undefined;
  /** PEM contents, as in `node:tls`. */
  tls?:
    | {
        key: string | Buffer;
        cert: string | Buffer;
        /** Clients must present a certificate of this authority. */
        ca?: string | Buffer | undefined;
      }
    | undefined;
  /**
   * Addresses and CIDR ranges that may use it; others are answered 403. Holds on a port, not on a
   * Unix socket, nor for `supervisor.fetch`. @default [], which is everybody
   */
  allow?: string[] | undefined;
  /** Addresses and CIDR ranges that may not, even if `allow` has them. @default [] */
  deny?: string[] | undefined;
  /** Largest request body. @default 65_536 */
  maxBodyBytes?: number | undefined;
  /** Requests per second and peer address, with bursts of twice as many. @default 100 */
  requestsPerSecond?: number | undefined;
}

/** Options of {@link createSupervisor}. */
export interface SupervisorOptions {
  /** Processes by name: lower-case letters, digits, `-` and `_`. */
  processes: Record<string, ProcessOptions>;
  /** Serve the management API; without it `supervisor.fetch` can be mounted in any server. */
  api?: ApiOptions | undefined;
  /** Commands to run around the start and the end of everything. */
  hooks?: SupervisorHooks | undefined;
  /** What has to be ready for `GET /api/v1/ready` and `ready.file`. @default every service */
  ready?:
    | {
        /** Names. @default every service */
        processes?: string[] | undefined;
        /** Exists while all of them are ready. */
        file?: string | undefined;
        /** What is in that file. @default "ready\n" */
        content?: string | undefined;
      }
    | undefined;
  /** Instances of all processes together. @default 1_000 */
  maxInstances?: number | undefined;
  /** A file that remembers desired counts and, for `onSupervisorDeath: "survive"`, pids. */
  state?: { file: string } | undefined;
  /** Environment of children and source of `MILLRACE_PROCESS_*`. @default process.env */
  env?: Record<string, string | undefined> | undefined;
  /** How often memory and processor time of instances are read, in milliseconds. @default 1_000 */
  sampleIntervalMs?: number | undefined;
  /** How long a dependency may take, in milliseconds. @default 300_000 */
  dependencyTimeoutMs?: number | undefined;
  /** End once no instance runs or waits to run, as a container's main program should. @default false */
  exitWhenAllStopped?: boolean | undefined;
  /** pino-compatible. @default pino at `info` on stderr */
  logger?: Logger | undefined;
  /** @default the process's prom-client registry */
  metrics?: MetricsRegistry | undefined;
  /** What names of metrics begin with. @default "millrace_" */
  metricsPrefix?: string | undefined;
}

const pem = z.union([z.string(), z.instanceof(Buffer)]).meta({ secret: true });

const tokenSchema = z.preprocess(
  (value) => (typeof value === "string" ? { token: value } : value),
  strictOptions({
    name: z.string().default("token"),
    token: z.string().min(8, "a token needs at least 8 characters").meta({ secret: true }),
    scopes: z.array(z.enum(["read", "write"])).default(["read", "write"]),
  }),
);

export const apiSchema = strictOptions({
  port: z.int().min(0).max(65_535).optional(),
  host: z.string().default("127.0.0.1"),
  socket: z.string().optional(),
  tokens: z.array(tokenSchema).default([]),
  tls: strictOptions({ key: pem, cert: pem, ca: pem.optional() }).optional(),
  allow: z.array(addressRuleSchema).default([]),
  deny: z.array(addressRuleSchema).default([]),
  maxBodyBytes: z.int().positive().default(65_536),
  requestsPerSecond: z.number().positive().default(100),
});

const PROCESS_NAME = /^[a-z0-9]([a-z0-9_-]*[a-z0-9])?$/;

/** Schema of {@link SupervisorOptions}. */
export const supervisorOptionsSchema = strictOptions({
  processes: z.record(
    z.string().regex(PROCESS_NAME, "expected lower-case letters, digits, - and _"),
    processSchema,
  ),
  api: apiSchema.optional(),
  hooks: supervisorHooksSchema,
  ready: strictOptions({
    processes: z.array(z.string()).optional(),
    file: z.string().min(1).optional(),
    content: z.string().default("ready\n"),
  }).prefault({}),
  maxInstances: z.int().positive().default(1_000),
  state: strictOptions({ file: z.string().min(1) }).optional(),
  env: z.record(z.string(), z.string().or(z.undefined())).optional(),
  sampleIntervalMs: z.number().positive().default(1_000),
  dependencyTimeoutMs: z.number().positive().default(300_000),
  exitWhenAllStopped: z.boolean().default(false),
  logger: z.custom<Logger>().optional(),
  metrics: z.custom<MetricsRegistry>().optional(),
  metricsPrefix: z
    .string()
    .regex(/^([a-zA-Z_][a-zA-Z0-9_]*)?$/, "expected letters, digits and _")
    .default("millrace_"),
});

export type ResolvedApiOptions = z.output<typeof apiSchema>;
export type ResolvedSupervisorOptions = z.output<typeof supervisorOptionsSchema>;
