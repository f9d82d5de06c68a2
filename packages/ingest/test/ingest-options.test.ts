import { createBuffer } from "@millrace/core/buffer";
import { createIngestServer } from "@millrace/ingest";
import { describe, expect, it } from "vitest";

const buffer = createBuffer({ path: "never-started.db" });

describe("options of createIngestServer", () => {
  it("fills in defaults and shows them on the handle", () => {
    const { options } = createIngestServer({ buffer, limits: { maxConnections: 7 } });
    expect(options).toMatchObject({
      host: "127.0.0.1",
      port: 2407,
      tokens: [],
      limits: { maxConnections: 7, maxFrameBytes: 33_554_432, headerTimeoutMs: 5_000 },
    });
  });

  it("names every bad option at once", () => {
    const limits = { headerTimeoutMs: 0, maxUnfinishedBytes: 20 };
    expect(() => createIngestServer({ buffer, port: 70_000, limits })).toThrowError(
      /port: .*\n.*limits\.headerTimeoutMs: /,
    );
  });

  it("refuses a memory limit that no frame of the largest size could meet", () => {
    expect(() => createIngestServer({ buffer, limits: { maxUnfinishedBytes: 20 } })).toThrowError(
      /limits\.maxUnfinishedBytes: must be at least maxFrameBytes/,
    );
  });

  it("refuses what is not a buffer, without showing a token", () => {
    const options = { buffer: {}, tokens: [{ name: "", token: "secret" }] };
    let message = "";
    try {
      createIngestServer(options as never);
    } catch (error) {
      message = String(error);
    }
    expect(message).toContain("buffer: expected a buffer: createBuffer");
    expect(message).not.toContain("secret");
  });
});
