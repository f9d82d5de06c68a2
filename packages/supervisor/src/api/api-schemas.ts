import * as z from "zod";
import { INSTANCE_STATES } from "../process/instance-state.ts";

/** Schemas of what the management API takes and gives; the OpenAPI document is made from them. */

const instanceState = z.enum(INSTANCE_STATES as [string, ...string[]]);

const instanceSchema = z.object({
  name: z.string(),
  number: z.int(),
  generation: z.int(),
  state: instanceState,
  reason: z.string(),
  pid: z.int().nullable(),
  uptime: z.int().describe("Seconds since the instance was started."),
  restarts: z.int(),
  port: z.int().nullable(),
  busy: z.number().nullable(),
  residentBytes: z.number().nullable(),
  cpuSeconds: z.number().nullable(),
});

export const flatInstanceSchema = z.object({
  name: z.string(),
  state: instanceState,
  pid: z.int().nullable(),
  uptime: z.int(),
});

export const processSchema = z.object({
  name: z.string(),
  state: z.enum(["running", "starting", "degraded", "stopping", "stopped", "failed"]),
  scale: z.int().describe("Instances that run or wait to run again."),
  desired: z.int(),
  minScale: z.int(),
  maxScale: z.int(),
  generation: z.int(),
  port: z.int().nullable(),
  counts: z.record(z.string(), z.int()),
  instances: z.array(instanceSchema),
});

export const operationSchema = z.object({
  id: z.string(),
  process: z.string(),
  instance: z.string().optional(),
  kind: z.enum(["start", "stop", "scale", "restart", "rollout", "rollback", "canary"]),
  state: z.enum(["pending", "running", "succeeded", "failed", "superseded", "cancelled"]),
  done: z.int(),
  total: z.int(),
  message: z.string(),
  createdAt: z.string(),
  endedAt: z.string().optional(),
  error: z
    .object({
      code: z.string(),
      message: z.string(),
      reason: z.enum(["not-ready", "crashed", "not-stable", "stalled"]).optional(),
    })
    .optional(),
});

export const acceptedSchema = z.object({
  status: z.string(),
  process: z.string(),
  operation: z.string(),
  message: z.string(),
});

export const scaleAcceptedSchema = acceptedSchema.extend({
  status: z.literal("scaling"),
  current: z.int(),
  desired: z.int(),
});

const logEntrySchema = z.object({
  sequence: z.int(),
  time: z.string(),
  process: z.string(),
  instance: z.string(),
  stream: z.enum(["stdout", "stderr"]),
  level: z.enum(["debug", "info", "warn", "error"]),
  message: z.string(),
  fields: z.record(z.string(), z.unknown()).optional(),
});

export const logsSchema = z.object({
  process: z.string(),
  limit: z.int(),
  count: z.int(),
  logs: z.array(logEntrySchema).describe("Newest first."),
});

export const decisionSchema = z.object({
  id: z.int(),
  process: z.string(),
  time: z.string(),
  current: z.int(),
  recommended: z.int(),
  desired: z.int(),
  limit: z.string(),
  applied: z.boolean(),
  opinions: z.array(
    z.object({
      input: z.string(),
      desired: z.int().nullable(),
      min: z.int().nullable(),
      max: z.int().nullable(),
      active: z.boolean().nullable(),
      reason: z.string(),
    }),
  ),
  reason: z.string(),
});

const scheduledRunSchema = z.object({
  id: z.string(),
  process: z.string(),
  instance: z.string().optional(),
  trigger: z.enum(["schedule", "missed", "manual"]),
  startedAt: z.string(),
  endedAt: z.string().optional(),
  outcome: z.enum(["queued", "running", "succeeded", "failed", "timed-out", "skipped"]),
  exitCode: z.int().optional(),
});

export const scheduleSchema = z.object({
  process: z.string(),
  cron: z.string(),
  timezone: z.string(),
  overlap: z.enum(["skip", "queue", "parallel"]),
  state: z.enum(["idle", "running", "paused"]),
  nextRunAt: z.string().nullable(),
  lastRun: scheduledRunSchema.nullable(),
});

export const scheduleHistorySchema = z.object({
  process: z.string(),
  limit: z.int(),
  count: z.int(),
  history: z.array(scheduledRunSchema).describe("Newest first."),
});

export const triggeredSchema = z.object({
  status: z.enum(["triggered", "skipped"]),
  process: z.string(),
  run: scheduledRunSchema,
});

export const runsSchema = z.object({
  process: z.string(),
  limit: z.int(),
  count: z.int(),
  runs: z
    .array(
      z.object({
        process: z.string(),
        instance: z.string(),
        number: z.int(),
        generation: z.int(),
        pid: z.int().optional(),
        code: z.int().nullable(),
        signal: z.string().nullable(),
        spawnError: z.string().optional(),
        uptimeMs: z.number(),
        endedAt: z.string(),
      }),
    )
    .describe("Newest first."),
});

export const readinessSchema = z.object({ ready: z.boolean(), waitingFor: z.array(z.string()) });

export const explanationSchema = z.object({
  name: z.string(),
  because: z.array(z.string()).describe("In words, the most important first."),
  steps: z.array(
    z.object({ time: z.string(), from: instanceState, to: instanceState, reason: z.string() }),
  ),
  operations: z.array(operationSchema),
  decision: decisionSchema.nullable(),
  events: z.array(
    z.object({
      id: z.int(),
      time: z.string(),
      event: z.string(),
      payload: z.record(z.string(), z.unknown()),
    }),
  ),
});

export const externalSchema = z.object({ process: z.string(), desired: z.int(), current: z.int() });

export const errorSchema = z.object({
  error: z.object({
    code: z.string(),
    message: z.string(),
    details: z.record(z.string(), z.unknown()).describe("What the code is about, as values."),
  }),
});
