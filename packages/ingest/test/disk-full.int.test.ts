import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect, it, onTestFinished } from "vitest";
import { sendAsOfficialClient } from "./support/client.ts";
import { readStored } from "./support/running-server.ts";

const fixture = fileURLToPath(new URL("fixtures/serves-on-limited-disk.ts", import.meta.url));

it("a disk that takes no more makes 5:ERROR, never a 2:OK for what is not stored", async () => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-disk-"));
  const path = join(folder, "buffer.db");
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  // The kernel refuses to let any file of the process grow beyond 8 MiB, as a full disk would.
  const script = 'ulimit -f 16384 && exec "$0" --conditions=@millrace/source "$@"';
  const server = spawn("sh", ["-c", script, process.execPath, fixture, path], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const exited = once(server, "exit");
  let log = "";
  server.stderr.on("data", (chunk: Buffer) => {
    log += chunk.toString();
  });
  const [line] = (await once(createInterface(server.stdout), "line")) as [string];
  const address = { port: Number(line) };
  const body = "x".repeat(50_000);
  const acknowledged: string[] = [];
  let refused = 0;
  for (let count = 0; count < 400; count++) {
    const payload = `[${count},"${body}"]`;
    const reply = await sendAsOfficialClient(address, payload);
    if (reply === "2:OK") acknowledged.push(payload);
    else refused++;
  }
  server.kill("SIGKILL");
  await exited;
  expect(acknowledged.length).toBeGreaterThan(10);
  expect(refused).toBeGreaterThan(10);
  expect(log).toContain("buffer cannot write");
  const stored = new Set(readStored(path).map(({ payload }) => payload.toString()));
  expect(acknowledged.filter((payload) => !stored.has(payload))).toEqual([]);
});
