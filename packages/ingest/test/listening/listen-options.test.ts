import { createServer } from "node:net";
import { createBuffer } from "@millrace/core/buffer";
import { createIngestServer, type IngestOptions } from "@millrace/ingest";
import { describe, expect, it } from "vitest";

const buffer = createBuffer({ path: "never-started.db" });

function messageFor(options: Partial<IngestOptions>): string {
  try {
    createIngestServer({ buffer, ...options });
  } catch (error) {
    return String(error);
  }
  return "";
}

describe("options that say where to listen", () => {
  it.each<[string, string, Partial<IngestOptions>]>([
    ["socket", "host", { socket: "/run/x.sock", host: "127.0.0.1" }],
    ["socket", "port", { socket: "/run/x.sock", port: 2407 }],
    ["socket", "reusePort", { socket: "/run/x.sock", reusePort: true }],
    ["socket", "tls", { socket: "/run/x.sock", tls: { cert: "x" } }],
    ["socket", "allow", { socket: "/run/x.sock", allow: ["10.0.0.1"] }],
    ["socket", "listen", { socket: "/run/x.sock", listen: { fd: 3 } }],
    ["listen", "port", { listen: { fd: 3 }, port: 2407 }],
    ["listen", "reusePort", { listen: { handle: createServer() }, reusePort: true }],
  ])("%s excludes %s, and the error names both", (first, second, options) => {
    expect(messageFor(options)).toContain(`${second}: excludes ${first}: set one of the two`);
  });

  it.each(["host", "port", "tls", "allow", "deny"])("http.socket excludes http.%s", (other) => {
    const values = { host: "127.0.0.1", port: 0, tls: { cert: "x" }, allow: [], deny: [] };
    const http = { socket: "/run/x.sock", [other]: Reflect.get(values, other) };
    expect(messageFor({ http })).toContain(`http.${other}: excludes http.socket`);
  });

  it("no body of HTTP may be larger than the memory for all of them", () => {
    const http = { limits: { maxBodyBytes: 2_000 } };
    const limits = { maxFrameBytes: 1_000, maxUnfinishedBytes: 1_000 };
    expect(messageFor({ http, limits })).toContain("http.limits.maxBodyBytes: must be at most");
  });

  it("reusePort: false is no conflict", () => {
    expect(messageFor({ socket: "/run/x.sock", reusePort: false })).toBe("");
  });

  it.each(["10.0.0.0/33", "10.0.0", "example.com", "fd00::/129", "10.0.0.0/8/8", "10.0.0.0/", ""])(
    "%j is no address or range",
    (text) => {
      expect(messageFor({ deny: [text] })).toMatch(/deny\.0: expected an address or a range/);
    },
  );

  it.each(["10.0.0.0/8", "10.0.0.7", "::1", "fd00::/8", "0.0.0.0/0"])("%j is one", (text) => {
    expect(messageFor({ deny: [text] })).toBe("");
  });

  it("tls without a certificate is refused: no client could connect", () => {
    expect(messageFor({ tls: {} })).toContain(
      "tls: expected options of node:tls with key and cert",
    );
  });

  it("tokens that share a name cannot have different rates", () => {
    const tokens = [
      { name: "shop", token: "a", payloadsPerSecond: 5 },
      { name: "shop", token: "b" },
    ];
    expect(messageFor({ tokens })).toContain("tokens: tokens that share a name must have the same");
  });
});
