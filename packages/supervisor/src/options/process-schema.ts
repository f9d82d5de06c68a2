import { constants } from "node:os";
import * as z from "zod";
import { autoscaleSchema } from "./autoscale-options.ts";
import { byteSizeSchema } from "./byte-size.ts";
import { instanceHooksSchema } from "./hook-options.ts";
import { healthSchema } from "./probe-options.ts";
import type { ChooseVictims } from "../scaling/victims.ts";
import { strictOptions } from "./strict-options.ts";

const restartModeSchema = z.enum(["always", "unless-stopped", "on-failure", "never"]);

const BACKOFF = { baseMs: 100, capMs: 30_000, minUptimeMs: 10_000, crashloopAfter: 5 };

const signalSchema = z.custom<NodeJS.Signals>(
  (value) => typeof value === "string" && value in constants.signals,
  "expected the name of a signal, as SIGTERM",
);

/** Options that a variable `MILLRACE_PROCESS_<NAME>_<OPTION>` may override. */
export const overridableShape = {
  enabled: z.boolean().optional(),
  scale: z.int().min(0).optional(),
  minScale: z.int().min(0).optional(),
  maxScale: z.int().min(0).optional(),
  restart: restartModeSchema.optional(),
  giveUpAfter: z.int().min(0).optional(),
  readyTimeoutMs: z.number().positive().optional(),
  cwd: z.string().optional(),
  memoryLimit: z.string().optional(),
  stop: z
    .object({
      signal: z.string().optional(),
      timeoutMs: z.number().optional(),
    })
    .optional(),
  backoff: z
    .object({
      baseMs: z.number().optional(),
      capMs: z.number().optional(),
      minUptimeMs: z.number().optional(),
      crashloopAfter: z.number().optional(),
    })
    .optional(),
  logs: z
    .object({
      ringLines: z.int().optional(),
      file: z.string().optional(),
      forward: z.string().optional(),
    })
    .optional(),
};

export const processSchema = strictOptions({
  enabled: z.boolean().default(true),
  command: z.array(z.string()).min(1).optional(),
  module: z.union([z.instanceof(URL), z.string()]).optional(),
  args: z.array(z.string()).default([]),
  execArgv: z.array(z.string()).optional(),
  ipc: z.boolean().optional(),
  type: z.enum(["service", "oneshot"]).default("service"),
  scale: z.union([z.int().min(0), z.string()]).optional(),
  minScale: z.int().min(0).default(0),
  maxScale: z.int().min(0).default(100),
  memory: strictOptions({
    perInstance: byteSizeSchema,
    share: z.number().positive().max(1).default(0.8),
  }).optional(),
  restart: restartModeSchema.optional(),
  backoff: strictOptions({
    baseMs: z.number().min(0).default(BACKOFF.baseMs),
    capMs: z.number().min(0).default(BACKOFF.capMs),
    minUptimeMs: z.number().min(0).default(BACKOFF.minUptimeMs),
    crashloopAfter: z.int().positive().default(BACKOFF.crashloopAfter),
  }).default(BACKOFF),
  restartBudget: strictOptions({
    restarts: z.number().positive(),
    windowMs: z.number().positive(),
  }).optional(),
  giveUpAfter: z.int().min(0).default(0),
  successCodes: z.array(z.int().min(0).max(255)).default([0]),
  successSignals: z.array(signalSchema).default([]),
  noRestartCodes: z.array(z.int().min(0).max(255)).default([]),
  noRestartSignals: z.array(signalSchema).default([]),
  stop: strictOptions({
    signal: signalSchema.default("SIGTERM"),
    timeoutMs: z.number().min(0).default(30_000),
    preStop: strictOptions({
      command: z.array(z.string()).min(1),
      timeoutMs: z.number().positive().default(10_000),
    }).optional(),
  }).default({ signal: "SIGTERM", timeoutMs: 30_000 }),
  hooks: instanceHooksSchema,
  health: healthSchema.default({}),
  readyTimeoutMs: z.number().positive().default(30_000),
  env: z.record(z.string(), z.string().or(z.undefined())).default({}),
  cwd: z.string().optional(),
  user: z.union([z.string(), z.int().min(0)]).optional(),
  group: z.union([z.string(), z.int().min(0)]).optional(),
  memoryLimit: z
    .preprocess(
      (value) => (typeof value === "object" ? value : { soft: value }),
      strictOptions({
        soft: byteSizeSchema.optional(),
        hard: byteSizeSchema.optional(),
        predictMs: z.number().min(0).default(0),
      }),
    )
    .optional(),
  dependsOn: z
    .preprocess(
      (value) =>
        Array.isArray(value)
          ? Object.fromEntries(value.map((name): [string, string] => [String(name), "ready"]))
          : value,
      z.record(
        z.string(),
        z
          .enum(["started", "ready", "completed"])
          .or(strictOptions({ line: z.string().min(1).or(z.instanceof(RegExp)) })),
      ),
    )
    .default({}),
  schedule: z
    .preprocess(
      (value) => (typeof value === "string" ? { cron: value } : value),
      strictOptions({
        cron: z.string(),
        timezone: z.string().default("UTC"),
        overlap: z.enum(["skip", "queue", "parallel"]).default("skip"),
        timeoutMs: z.number().min(0).default(0),
        jitterMs: z.number().min(0).default(0),
        catchUpMs: z.number().min(0).default(0),
        ping: strictOptions({
          startUrl: z.url().optional(),
          successUrl: z.url().optional(),
          failureUrl: z.url().optional(),
          timeoutMs: z.number().positive().default(10_000),
        }).optional(),
      }),
    )
    .optional(),
  listen: z
    .preprocess(
      (value) => (typeof value === "number" ? { port: value } : value),
      strictOptions({
        port: z.int().min(0).max(65_535),
        host: z.string().default("127.0.0.1"),
        backlog: z.int().positive().default(511),
        reusePort: z.boolean().default(false),
        cluster: z.boolean().default(false),
        onDemand: z
          .preprocess(
            (value) => (value === true ? {} : value === false ? undefined : value),
            strictOptions({ idleMs: z.number().min(0).default(0) }).optional(),
          )
          .optional(),
      }),
    )
    .optional(),
  ports: strictOptions({
    base: z.int().min(0).max(65_535),
    step: z.int().positive().default(1),
  }).optional(),
  autoscale: autoscaleSchema.optional(),
  rollout: strictOptions({
    maxSurge: z.int().min(0).optional(),
    maxUnavailable: z.int().min(0).optional(),
    minReadyMs: z.number().min(0).default(0),
    progressDeadlineMs: z.number().min(0).default(0),
  }).default({ minReadyMs: 0, progressDeadlineMs: 0 }),
  victims: z
    .custom<ChooseVictims>((value) => typeof value === "function", "expected a function")
    .optional(),
  logs: strictOptions({
    ringLines: z.int().min(0).default(1_000),
    maxLineLength: z.int().positive().default(65_536),
    forward: z.enum(["structured", "prefixed", "none"]).default("structured"),
    file: z.string().optional(),
    maxFileSize: byteSizeSchema.default(10_000_000),
    maxFileAgeMs: z.number().positive().optional(),
    maxFiles: z.int().positive().default(5),
    multiline: z
      .preprocess(
        (value) => (value === true ? {} : value === false ? undefined : value),
        strictOptions({
          start: z.instanceof(RegExp).optional(),
          maxLines: z.int().positive().default(100),
          flushMs: z.number().positive().default(200),
        }).optional(),
      )
      .optional(),
    redact: z.array(z.instanceof(RegExp)).default([]),
    json: z.boolean().default(false),
  }).prefault({}),
  onSupervisorDeath: z.enum(["die", "survive"]).default("die"),
  essential: z
    .boolean()
    .or(strictOptions({ exitCode: z.int().min(1).max(255) }))
    .default(false),
})
  .refine(({ command, module }) => (command === undefined) !== (module === undefined), {
    path: ["command"],
    error: "give either command or module, not both and not neither",
  })
  .refine(({ minScale, maxScale }) => minScale <= maxScale, {
    path: ["minScale"],
    error: "minScale must not be above maxScale",
  })
  .refine(({ listen }) => listen?.onDemand === undefined || !listen.reusePort, {
    path: ["listen", "onDemand"],
    error: "without an instance nobody listens on a reusePort: remove onDemand or reusePort",
  })
  .refine(({ listen, module }) => listen?.cluster !== true || module !== undefined, {
    path: ["listen", "cluster"],
    error: "only Node.js can be a worker of a cluster: use module, or remove cluster",
  })
  .refine(
    ({ listen }) =>
      listen?.cluster !== true ||
      (!listen.reusePort && listen.onDemand === undefined && listen.port > 0),
    {
      path: ["listen", "cluster"],
      error: "a cluster needs a port, and goes neither with reusePort nor with onDemand",
    },
  )
  .refine(({ schedule, autoscale }) => schedule === undefined || autoscale === undefined, {
    path: ["autoscale"],
    error: "a process with a schedule can't be autoscaled: remove schedule or autoscale",
  })
  .refine(
    ({ onSupervisorDeath, ipc, module }) =>
      onSupervisorDeath === "die" || (ipc !== true && module === undefined),
    {
      path: ["onSupervisorDeath"],
      error:
        "an instance with an IPC channel can't survive the supervisor: use command without ipc",
    },
  )
  .refine(
    ({ rollout, ports }) =>
      ports === undefined || rollout.maxSurge === undefined || rollout.maxSurge === 0,
    {
      path: ["rollout", "maxSurge"],
      error: "two instances of one number would share a port: maxSurge must be 0 with ports",
    },
  );

/** {@link ProcessOptions} with every default filled in. */
export type ResolvedProcessOptions = z.output<typeof processSchema>;
