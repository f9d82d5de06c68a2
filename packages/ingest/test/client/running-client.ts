import { createMemoryLogger, type MemoryLogger, waitFor } from "@millrace/core/testing";
import {
  createIngestClient,
  type DropReason,
  type IngestClient,
  type IngestClientOptions,
} from "@millrace/ingest";
import { Registry } from "prom-client";
import { expect, onTestFinished } from "vitest";

export interface RunningClient {
  client: IngestClient;
  logger: MemoryLogger;
  metrics: Registry;
  /** Reported by `records:dropped`. */
  reported: Array<{ reason: DropReason; records: number }>;
}

/** A client with short waits; when the test is over every record it was given must be accounted for. */
export function makeClient(options: Partial<IngestClientOptions>): RunningClient {
  const logger = createMemoryLogger();
  const metrics = new Registry();
  const reported: RunningClient["reported"] = [];
  const client = createIngestClient({
    token: "secret",
    maxBatchDelayMs: 5,
    reconnect: { baseMs: 5, capMs: 20 },
    logger,
    metrics,
    ...options,
  });
  client.on("records:dropped", (drop) => reported.push(drop));
  onTestFinished(async () => {
    expectAllAccounted(client);
    await client.close({ graceMs: 0 });
    expectAllAccounted(client);
    expect(client.status()).toMatchObject({ bufferedRecords: 0, bufferedBytes: 0 });
    const dropped = sum(Object.values(client.status().droppedRecords));
    await waitFor(() => sum(reported.map(({ records }) => records)) === dropped, {
      description: `${dropped} drops reported`,
    });
  });
  return { client, logger, metrics, reported };
}

export async function runClient(options: Partial<IngestClientOptions>): Promise<RunningClient> {
  const running = makeClient(options);
  await running.client.start();
  return running;
}

/** Records numbered from `first`. */
export function numbered(count: number, first = 0): Array<{ t: string; n: number }> {
  return Array.from({ length: count }, (_, index) => ({ t: "log", n: first + index }));
}

function expectAllAccounted(client: IngestClient): void {
  const status = client.status();
  expect(status.sentRecords).toBe(
    status.acknowledgedRecords + status.bufferedRecords + sum(Object.values(status.droppedRecords)),
  );
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
