import { createIngestClient } from "@millrace/ingest";
import { describe, expect, it } from "vitest";

describe("options of createIngestClient", () => {
  it("fills in defaults and shows them on the handle", () => {
    expect(createIngestClient({ token: "secret" }).options).toMatchObject({
      host: "127.0.0.1",
      port: 2407,
      delivery: "at-least-once",
      maxBatchRecords: 500,
      maxBatchBytes: 1_048_576,
      maxBatchDelayMs: 1_000,
      maxBufferedBytes: 16_777_216,
      reconnect: { baseMs: 250, capMs: 30_000 },
    });
  });

  it("names every bad option at once and shows no secret", () => {
    const options = { token: "", port: 0, delivery: "exactly-once", maxBatchSize: 1 };
    expect(() => createIngestClient(options as never)).toThrowError(
      /port: [^]*token: [^]*delivery: [^]*unknown option maxBatchSize/,
    );
  });

  it("refuses memory that a second batch would not fit into", () => {
    expect(() => createIngestClient({ token: "secret", maxBufferedBytes: 1_000 })).toThrowError(
      /maxBufferedBytes: must be at least twice maxBatchBytes/,
    );
  });
});
