import { loadConfig } from "@millrace/core";
import { z } from "zod";

const port = z.int().min(0).max(65_535);
const secret = z.string().meta({ secret: true });

const schema = z.object({
  ingest: z.object({
    host: z.string().default("127.0.0.1"),
    port: port.default(2407),
    tokens: z.array(z.string()).default([]).meta({ secret: true }),
    http: z.boolean().default(false),
    httpHost: z.string().optional(),
    httpPort: port.optional(),
    httpSocket: z.string().optional(),
    udp: z.boolean().default(false),
    udpPort: port.default(2407),
  }),
  otlp: z.boolean().optional(),
  databaseUrl: secret,
  synchronousCommit: z.enum(["on", "off"]).default("on"),
  buffer: z.object({
    path: z.string().default("millrace-buffer.db"),
    maxRows: z.int().positive().default(100_000),
    maxBytes: z.int().positive().optional(),
    minFreeBytes: z.int().nonnegative().optional(),
  }),
  drain: z.object({
    workers: z.int().min(1).max(64).default(2),
    batchRows: z.int().positive().default(5_000),
    batchBytes: z.int().positive().optional(),
    workerHeapMib: z.int().positive().optional(),
  }),
  alerts: z.object({
    webhook: z.object({ url: secret, secret }).optional(),
    slack: z.object({ webhookUrl: secret }).optional(),
    discord: z.object({ webhookUrl: secret }).optional(),
    email: z
      .object({
        host: z.string(),
        port: port.optional(),
        tls: z.enum(["required", "implicit", "opportunistic", "none"]).default("required"),
        user: z.string().optional(),
        password: secret.optional(),
        from: z.string(),
        to: z.array(z.string()),
      })
      .optional(),
  }),
  ops: z.object({
    host: z.string().default("127.0.0.1"),
    port: port.default(2409),
  }),
});

export type AgentConfig = z.output<typeof schema>;

/** Reads MILLRACE_INGEST_PORT, MILLRACE_DATABASE_URL and so on; says everything that is wrong at once. */
export function loadAgentConfig(): AgentConfig {
  return loadConfig(schema, { prefix: "MILLRACE" });
}
