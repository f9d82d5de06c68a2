import { type Component, MillraceError, runUntilSignal } from "@millrace/core";
import { createBuffer } from "@millrace/core/buffer";
import { createOpsServer } from "@millrace/core/ops";
import { combineSchemas, createDrainPool, postgres } from "@millrace/drain";
import { createAlertDispatcher } from "@millrace/drain/alerts";
import { nightwatch } from "@millrace/drain/nightwatch";
import { otel } from "@millrace/drain/otel";
import { createIngestServer } from "@millrace/ingest";
import { type AgentConfig, loadAgentConfig } from "./agent-config.ts";
import { alertChannels } from "./alert-channels.ts";

const USAGE = `Takes telemetry over TCP, keeps it in a local buffer, lands it in PostgreSQL.

Configured by environment:
  MILLRACE_DATABASE_URL      PostgreSQL to land in (required)
  MILLRACE_SYNCHRONOUS_COMMIT
                             off: batches leave the buffer behind a barrier instead (on)
  MILLRACE_INGEST_HOST       address to listen on (127.0.0.1)
  MILLRACE_INGEST_PORT       port to listen on (2407)
  MILLRACE_INGEST_HTTP       true: also JSON, NDJSON and OTLP over HTTP (false)
  MILLRACE_INGEST_HTTP_HOST, MILLRACE_INGEST_HTTP_PORT, MILLRACE_INGEST_HTTP_SOCKET
                             where: address, port (2408), or a Unix socket instead
  MILLRACE_INGEST_UDP, MILLRACE_INGEST_UDP_PORT
                             true: also one frame in each datagram (false), port (2407)
  MILLRACE_OTLP              tables for OpenTelemetry's logs and spans (on with HTTP)
  MILLRACE_INGEST_TOKENS     comma list of tokens; empty accepts any
  MILLRACE_BUFFER_PATH       buffer file (millrace-buffer.db)
  MILLRACE_BUFFER_MAX_ROWS, MILLRACE_BUFFER_MAX_BYTES
                             payloads it may hold (100000), and their bytes (1 GiB)
  MILLRACE_BUFFER_MIN_FREE_BYTES
                             free disk space below which nothing is taken (5 %, at least 512 MiB)
  MILLRACE_DRAIN_WORKERS     worker threads (2)
  MILLRACE_DRAIN_BATCH_ROWS  payloads in one batch (5000)
  MILLRACE_DRAIN_BATCH_BYTES bytes in one batch (8 MiB)
  MILLRACE_DRAIN_WORKER_HEAP_MIB
                             limit of each worker's heap (1024)
  MILLRACE_ALERTS_WEBHOOK_URL, MILLRACE_ALERTS_WEBHOOK_SECRET
  MILLRACE_ALERTS_SLACK_WEBHOOK_URL, MILLRACE_ALERTS_DISCORD_WEBHOOK_URL
  MILLRACE_ALERTS_EMAIL_HOST, _PORT, _TLS, _USER, _PASSWORD, _FROM, _TO
                             where news of issues goes; none unless set
  MILLRACE_OPS_HOST          address of /healthz, /readyz, /metrics (127.0.0.1)
  MILLRACE_OPS_PORT          port of the same (2409)`;

/** How long draining may go on after SIGTERM, in milliseconds. */
const GRACE_MS = 30_000;

if (process.argv.includes("--help")) {
  console.log(USAGE);
} else {
  try {
    await run(loadAgentConfig());
  } catch (error) {
    console.error(MillraceError.is(error) ? error.message : error);
    console.error("(npm run agent -- --help lists the variables)");
    process.exitCode = 1;
  }
}

async function run(config: AgentConfig): Promise<void> {
  const { databaseUrl, synchronousCommit, otlp = config.ingest.http } = config;
  const { http, httpHost, httpPort, httpSocket, udp, udpPort, ...listen } = config.ingest;
  const destination = postgres({ connectionString: databaseUrl, synchronousCommit });
  const channels = alertChannels(config.alerts);
  const tables = nightwatch({ alerts: channels.length > 0 });
  const buffer = createBuffer(config.buffer);
  const drain = createDrainPool({
    buffer,
    destination,
    schema: otlp ? combineSchemas(tables, otel()) : tables,
    ...config.drain,
  });
  const ingest = createIngestServer({
    buffer,
    ...listen,
    http: http && { host: httpHost, port: httpPort, socket: httpSocket },
    udp: udp ? { port: udpPort } : undefined,
  });
  const alerts = channels.length > 0 ? [createAlertDispatcher({ destination, channels })] : [];
  const parts: Component[] = [buffer, drain, ...alerts];
  const ops = createOpsServer({ components: [...parts, ingest], ...config.ops });
  // Stopped in reverse order: nothing new comes in, then all that was acknowledged is drained.
  await runUntilSignal([...parts, ops, ingest], {
    graceMs: GRACE_MS,
    onReady: () => {
      const { host, port } = ingest.address();
      console.log(`listening on ${host}:${port}`);
    },
  });
}
