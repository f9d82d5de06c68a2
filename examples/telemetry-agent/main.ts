import { MillraceError, runUntilSignal } from "@millrace/core";
import { createBuffer } from "@millrace/core/buffer";
import { createOpsServer } from "@millrace/core/ops";
import { combineSchemas, createDrainPool, postgres } from "@millrace/drain";
import { nightwatch } from "@millrace/drain/nightwatch";
import { otel } from "@millrace/drain/otel";
import { createIngestServer } from "@millrace/ingest";
import { type AgentConfig, loadAgentConfig } from "./agent-config.ts";

const USAGE = `Takes telemetry over TCP, keeps it in a local buffer, lands it in PostgreSQL.

Configured by environment:
  MILLRACE_DATABASE_URL      PostgreSQL to land in (required)
  MILLRACE_SYNCHRONOUS_COMMIT
                             off: batches leave the buffer behind a barrier instead (on)
  MILLRACE_INGEST_HOST       address to listen on (127.0.0.1)
  MILLRACE_INGEST_PORT       port to listen on (2407)
  MILLRACE_INGEST_HTTP       true: also JSON, NDJSON and OTLP over HTTP, port 2408 (false)
  MILLRACE_INGEST_TOKENS     comma list of tokens; empty accepts any
  MILLRACE_BUFFER_PATH       buffer file (millrace-buffer.db)
  MILLRACE_BUFFER_MAX_ROWS   payloads it may hold (100000)
  MILLRACE_BUFFER_MIN_FREE_BYTES
                             free disk space below which nothing is taken (5 %, at least 512 MiB)
  MILLRACE_DRAIN_WORKERS     worker threads (2)
  MILLRACE_DRAIN_BATCH_ROWS  payloads in one batch (5000)
  MILLRACE_OPS_HOST          address of /healthz, /readyz, /metrics (127.0.0.1)
  MILLRACE_OPS_PORT          port of the same (2409)`;

/** How long draining may go on after SIGTERM, in milliseconds. */
const GRACE_MS = 30_000;

if (process.argv.includes("--help")) {
  console.log(USAGE);
} else {
  await run();
}

async function run(): Promise<void> {
  let config: AgentConfig;
  try {
    config = loadAgentConfig();
  } catch (error) {
    console.error(MillraceError.is(error) ? error.message : error);
    console.error("(npm run agent -- --help lists the variables)");
    process.exitCode = 1;
    return;
  }
  const buffer = createBuffer(config.buffer);
  const { databaseUrl, synchronousCommit } = config;
  const drain = createDrainPool({
    buffer,
    destination: postgres({ connectionString: databaseUrl, synchronousCommit }),
    schema: config.ingest.http ? combineSchemas(nightwatch(), otel()) : nightwatch(),
    ...config.drain,
  });
  const ingest = createIngestServer({ buffer, ...config.ingest });
  const ops = createOpsServer({ components: [buffer, drain, ingest], ...config.ops });
  // Stopped in reverse order: nothing new comes in, then all that was acknowledged is drained.
  await runUntilSignal([buffer, drain, ops, ingest], {
    graceMs: GRACE_MS,
    onReady: () => {
      const { host, port } = ingest.address();
      console.log(`listening on ${host}:${port}`);
    },
  });
}
