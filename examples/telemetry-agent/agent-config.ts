import { loadConfig } from "@millrace/core";
import { z } from "zod";

const port = z.int().min(0).max(65_535);

const schema = z.object({
  ingest: z.object({
    host: z.string().default("127.0.0.1"),
    port: port.default(2407),
    tokens: z.array(z.string()).default([]).meta({ secret: true }),
    http: z.boolean().default(false),
  }),
  databaseUrl: z.string().meta({ secret: true }),
  buffer: z.object({
    path: z.string().default("millrace-buffer.db"),
    maxRows: z.int().positive().default(100_000),
    minFreeBytes: z.int().nonnegative().optional(),
  }),
  drain: z.object({
    workers: z.int().min(1).max(64).default(2),
    batchRows: z.int().positive().default(5_000),
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
