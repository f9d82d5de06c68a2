import { join } from "node:path";
import type { Component, Logger } from "@millrace/core";
import { createBuffer, type DurableBuffer } from "@millrace/core/buffer";
import { createDrainPool, postgres } from "@millrace/drain";
import { createIngestServer, type IngestServer } from "@millrace/ingest";
import { TABLES } from "./tables.ts";

/** From the workers' records to rows: a server takes them, a buffer keeps them, the drain lands them. */
export interface Landing {
  buffer: DurableBuffer;
  ingest: IngestServer;
  /** In the order in which they start. */
  components: Component[];
}

export function createLanding(options: {
  folder: string;
  postgresUrl: string;
  token: string;
  logger: Logger;
}): Landing {
  const { folder, postgresUrl, token, logger } = options;
  const buffer = createBuffer({ path: join(folder, "records.db"), logger });
  const drain = createDrainPool({
    buffer,
    destination: postgres({ connectionString: postgresUrl }),
    schema: TABLES,
    workers: 1,
    logger,
  });
  const ingest = createIngestServer({ buffer, port: 0, tokens: [token], logger });
  return { buffer, ingest, components: [buffer, drain, ingest] };
}
