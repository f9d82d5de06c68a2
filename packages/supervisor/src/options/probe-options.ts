import * as z from "zod";
import { strictOptions } from "./strict-options.ts";

/** How often a probe runs and how many answers it takes to change its mind. */
export interface ProbeTiming {
  /** Wait before the first probe of a run, in milliseconds. @default 0 */
  initialDelayMs?: number | undefined;
  /** Pause between probes, in milliseconds. @default 1_000 */
  intervalMs?: number | undefined;
  /** When an unanswered probe counts as failed, in milliseconds. @default 3_000 */
  timeoutMs?: number | undefined;
  /** Failures in a row that make it fail. @default 3, 1 for `ipc` */
  failureThreshold?: number | undefined;
  /** Successes in a row that make it pass. @default 1 */
  successThreshold?: number | undefined;
}

/** Passes when a TCP connection is accepted. */
export interface TcpProbe extends ProbeTiming {
  type: "tcp";
  /** A number, or `"${PORT}"` and the like. */
  port: number | string;
  /** @default "127.0.0.1" */
  host?: string | undefined;
}

/** Passes when a GET is answered with an expected status. */
export interface HttpProbe extends ProbeTiming {
  type: "http";
  /** A number, or `"${PORT}"` and the like; left out with `socket`. */
  port?: number | string | undefined;
  /** Path of a Unix socket instead of host and port. */
  socket?: string | undefined;
  /** @default "127.0.0.1" */
  host?: string | undefined;
  /** Path and query. @default "/" */
  path?: string | undefined;
  /** Sent with each request. @default {} */
  headers?: Record<string, string> | undefined;
  /** Statuses that pass. @default every status from 200 to 399 */
  status?: number[] | undefined;
  /** Text that the first 64 KiB of the body must contain. */
  bodyIncludes?: string | undefined;
}

/** Passes when a command exits with 0. No shell. */
export interface ExecProbe extends ProbeTiming {
  type: "exec";
  /** Program and arguments. */
  command: string[];
}

/** Passes while a file exists that was written after the instance was started. */
export interface FileProbe extends ProbeTiming {
  type: "file";
  /** `${INSTANCE_ID}` and the like are filled in. */
  path: string;
}

/**
 * For Node children that use `@millrace/supervisor/child`. As readiness or startup probe it passes
 * when the child calls `ready()`; as liveness probe it fails when heartbeats stop for `timeoutMs`.
 */
export interface IpcProbe extends ProbeTiming {
  type: "ipc";
  /** Capture the JavaScript stack of a child that stopped beating before it is killed. @default true */
  captureStack?: boolean | undefined;
}

/** One way to find out how an instance does; runs per instance. */
export type ProbeOptions = TcpProbe | HttpProbe | ExecProbe | FileProbe | IpcProbe;

/** Probes of one process. */
export interface HealthOptions {
  /** Until it passes the other two do not run; when it fails the instance is restarted. */
  startup?: ProbeOptions | undefined;
  /** Decides between `ready` and `unhealthy`; never restarts. */
  readiness?: ProbeOptions | undefined;
  /** When it fails the instance is restarted. */
  liveness?: ProbeOptions | undefined;
}

const timing = {
  initialDelayMs: z.number().min(0).default(0),
  intervalMs: z.number().positive().default(1_000),
  timeoutMs: z.number().positive().default(3_000),
  failureThreshold: z.int().positive().default(3),
  successThreshold: z.int().positive().default(1),
};

const port = z.union([z.int().min(1).max(65_535), z.string()]);

const probeSchema = z.discriminatedUnion("type", [
  strictOptions({
    ...timing,
    type: z.literal("tcp"),
    port,
    host: z.string().default("127.0.0.1"),
  }),
  strictOptions({
    ...timing,
    type: z.literal("http"),
    port: port.optional(),
    socket: z.string().optional(),
    host: z.string().default("127.0.0.1"),
    path: z.string().startsWith("/").default("/"),
    headers: z.record(z.string(), z.string()).default({}),
    status: z.array(z.int().min(100).max(599)).optional(),
    bodyIncludes: z.string().optional(),
  }),
  strictOptions({
    ...timing,
    type: z.literal("exec"),
    command: z.array(z.string()).min(1),
  }),
  strictOptions({ ...timing, type: z.literal("file"), path: z.string().min(1) }),
  strictOptions({
    ...timing,
    failureThreshold: z.int().positive().default(1),
    type: z.literal("ipc"),
    captureStack: z.boolean().default(true),
  }),
]);

export const healthSchema = strictOptions({
  startup: probeSchema.optional(),
  readiness: probeSchema.optional(),
  liveness: probeSchema.optional(),
});

export type ResolvedProbe = z.output<typeof probeSchema>;
