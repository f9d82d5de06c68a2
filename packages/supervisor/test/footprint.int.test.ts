import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { nodeCommand } from "./fixtures/fixture.ts";

test("a supervisor without an API loads neither undici nor TLS nor all of prom-client", async () => {
  const [file = "", ...args] = nodeCommand("lists-modules.ts");
  const { stdout } = await promisify(execFile)(file, args, { maxBuffer: 10_000_000 });
  const { page, builtins, files } = JSON.parse(stdout) as {
    page: string;
    builtins: string[];
    files: string[];
  };
  expect(page).toContain('millrace_process_up{process="worker",instance="worker-1"} 1');
  // 13, 5 and 13 MiB of a supervisor that has no use for them.
  expect(builtins.filter((name) => /undici|_tls_wrap|https/.test(name))).toEqual([]);
  expect(files.some((name) => name.endsWith("prom-client/lib/registry.js"))).toBe(true);
  expect(
    files.filter((name) => /prom-client\/index|opentelemetry|node_modules\/hono/.test(name)),
  ).toEqual([]);
});
