import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { messageOf } from "@millrace/core";
import { createBuffer } from "@millrace/core/buffer";
import { createDrainPool, postgres } from "@millrace/drain";
import { nightwatch } from "@millrace/drain/nightwatch";
import { createIngestServer } from "@millrace/ingest";
import { type SenderProgress, startSender } from "@millrace/load";
import { startPostgres } from "@millrace/services";
import { Client } from "pg";
import pino from "pino";
import { countByTable, judge, readNewest } from "./landed-report.ts";
import { createProgressLine, createRate } from "./progress-line.ts";
import { type QuickstartOptions, readOptions, USAGE } from "./quickstart-options.ts";

const FOLDER = join(import.meta.dirname, "../../.millrace");
const TOKEN = "quickstart";
/** How long what was acknowledged may take to land after the last of it was sent, in milliseconds. */
const LANDING_MS = 60_000;

const logger = pino({ level: "warn" }, pino.destination(2));
const interrupted = new AbortController();
process.once("SIGINT", () => interrupted.abort());
process.once("SIGTERM", () => interrupted.abort());

try {
  const options = readOptions();
  if (options === "help") console.log(USAGE);
  else process.exitCode = await run(options);
} catch (error) {
  console.error(`${messageOf(error)}\n(npm start -- --help lists the options)`);
  process.exitCode = 1;
}

/** @returns the exit code. */
async function run(options: QuickstartOptions): Promise<number> {
  mkdirSync(FOLDER, { recursive: true });
  const database = await openDatabase(options);
  const bufferPath = join(FOLDER, "buffer.db");
  const buffer = createBuffer({ path: bufferPath, logger });
  const drain = createDrainPool({
    buffer,
    destination: postgres({ connectionString: database.url }),
    schema: nightwatch(),
    logger,
  });
  const ingest = createIngestServer({ buffer, port: options.port, tokens: [TOKEN], logger });
  const components = [buffer, drain, ingest];
  try {
    for (const component of components) await component.start();
    const { host, port } = ingest.address();
    console.log(
      `Taking telemetry on ${host}:${port}, landing it in PostgreSQL ${database.version}.`,
    );

    const mark = `quickstart-${Date.now().toString(36)}`;
    const sent = await sendAndWatch({ host, port, mark, options, drain, buffer });
    const isLanded = await waitUntilLanded(() => buffer.status().rows === 0);
    const client = new Client({ connectionString: database.url });
    await client.connect();
    const verdict = await judge(client, mark, sent.acknowledgedMarks);
    console.log(
      `\nAcknowledged ${sent.acknowledgedRecords} records in ${sent.acknowledged} payloads.`,
    );
    console.log(
      `In PostgreSQL: ${verdict.landed} records, ${verdict.lost} lost, ${verdict.doubled} doubled.\n`,
    );
    console.table(await countByTable(client, mark));
    console.log("\nThe newest requests:");
    console.table(await readNewest(client, mark));
    await client.end();
    if (!options.isOnce || options.databaseUrl !== undefined) {
      console.log(`\nLook around:   psql '${database.url}'`);
    }
    console.log(`The buffer:    ${bufferPath}`);

    const isGood =
      isLanded && verdict.lost === 0 && verdict.doubled === 0 && sent.acknowledgedRecords > 0;
    if (!isGood) console.error("\nNot every acknowledged record landed exactly once.");
    if (options.isOnce || !isGood) return isGood ? 0 : 1;
    console.log(`\nStill taking telemetry on ${host}:${port}; Ctrl-C ends it.`);
    if (!interrupted.signal.aborted) await once(interrupted.signal, "abort");
    return 0;
  } finally {
    for (const component of components.toReversed()) await component.close();
    await database.stop();
  }
}

async function openDatabase({ databaseUrl }: QuickstartOptions) {
  if (databaseUrl !== undefined) {
    return { url: databaseUrl, version: await askVersion(databaseUrl), stop: async () => {} };
  }
  console.log("Starting PostgreSQL (the first time takes a few seconds) ...");
  const service = await startPostgres({
    dataDir: join(FOLDER, "postgres"),
    prefer: "embedded",
    keepData: true,
  });
  return { url: service.url, version: service.version, stop: () => service.stop() };
}

/** Asks at once: a drain would go on waiting for a database that is away. */
async function askVersion(url: string): Promise<string> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  try {
    await client.connect();
    const { rows } = await client.query<{ server_version: string }>("SHOW server_version");
    return rows[0]?.server_version ?? "at the given URL";
  } catch (error) {
    throw new Error(
      `cannot connect to the database of --database-url (${messageOf(error)}): start it, mend the URL, or leave the option out`,
      { cause: error },
    );
  } finally {
    await client.end().catch(() => {});
  }
}

async function sendAndWatch(parts: {
  host: string;
  port: number;
  mark: string;
  options: QuickstartOptions;
  drain: ReturnType<typeof createDrainPool>;
  buffer: ReturnType<typeof createBuffer>;
}) {
  const { host, port, mark, options, drain, buffer } = parts;
  let progress: SenderProgress | undefined;
  const sender = startSender(
    {
      host,
      port,
      run: mark,
      token: TOKEN,
      seed: 1,
      seconds: options.seconds,
      rate: options.rate,
      connections: 32,
    },
    (latest) => {
      progress = latest;
    },
  );
  interrupted.signal.addEventListener("abort", () => sender.stop(), { once: true });
  const acceptedRate = createRate();
  const landedRate = createRate();
  const line = createProgressLine(() => {
    const accepted = Math.round(acceptedRate(progress?.acknowledged ?? 0));
    const landed = Math.round(landedRate(drain.status().records));
    return `accepted ${accepted} payloads/s   buffered ${buffer.status().rows} payloads   landed ${landed} records/s`;
  });
  try {
    return await sender.result;
  } finally {
    line.stop();
  }
}

async function waitUntilLanded(isLanded: () => boolean): Promise<boolean> {
  const deadline = performance.now() + LANDING_MS;
  while (!isLanded()) {
    if (performance.now() > deadline) return false;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return true;
}
