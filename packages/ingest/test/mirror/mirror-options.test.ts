import { createBuffer } from "@millrace/core/buffer";
import { createIngestServer, type MirrorUpstream } from "@millrace/ingest";
import { describe, expect, it } from "vitest";

const buffer = createBuffer({ path: "never-started.db" });

function problemsOf(mirror: unknown, tokens: string[] = ["secret"]): string {
  try {
    createIngestServer({ buffer, tokens, mirror: mirror as MirrorUpstream[] });
    return "";
  } catch (error) {
    return String(error);
  }
}

describe("the option mirror", () => {
  it("takes TCP and HTTP upstreams side by side", () => {
    const mirror = [
      { name: "a", host: "127.0.0.1" },
      { name: "b", url: "http://127.0.0.1:9/ingest", headers: { authorization: "Bearer x" } },
    ];
    expect(problemsOf(mirror)).toBe("");
    expect(createIngestServer({ buffer, tokens: ["secret"], mirror }).options.mirror).toMatchObject(
      [
        { concurrency: 8, maxQueueBytes: 16_777_216 },
        { concurrency: 8, maxQueueBytes: 16_777_216 },
      ],
    );
  });

  it.each<[string, object, RegExp]>([
    ["neither host nor url", { name: "a" }, /mirror\.0\.host: set either/],
    ["both host and url", { name: "a", host: "h", url: "http://h" }, /mirror\.0\.host: set either/],
    ["a url that is not HTTP", { name: "a", url: "ftp://h" }, /mirror\.0\.url: /],
    ["headers for TCP", { name: "a", host: "h", headers: {} }, /headers: does not go with host/],
    ["a token for HTTP", { name: "a", url: "http://h", token: "t" }, /token: does not go with url/],
    ["an unknown option", { name: "a", host: "h", queue: 1 }, /unknown option queue/],
  ])("refuses %s", (_, upstream, problem) => {
    expect(problemsOf([upstream])).toMatch(problem);
  });

  it("refuses two upstreams of one name", () => {
    const upstream = { name: "a", host: "h" };
    expect(problemsOf([upstream, upstream])).toMatch(/mirror\.1\.name: is taken/);
  });

  it("wants a token for TCP when the server takes any, as it knows none to pass on", () => {
    expect(problemsOf([{ name: "a", host: "h" }], [])).toMatch(/mirror\.0\.token: set it/);
    expect(problemsOf([{ name: "a", host: "h", token: "t" }], [])).toBe("");
    expect(problemsOf([{ name: "a", url: "http://h" }], [])).toBe("");
  });
});
