import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { sendAsOfficialClient } from "./support/client.ts";
import { readStored } from "./support/running-server.ts";
import { temporaryFolder } from "./support/temporary-folder.ts";

const fixture = fileURLToPath(new URL("fixtures/serves-on-limited-disk.ts", import.meta.url));

it("a disk that takes no more makes 5:ERROR and 503, never a 2:OK or 202 for what is not stored", async () => {
  const path = join(temporaryFolder(), "buffer.db");
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
  const [port = 0, httpPort = 0] = line.split(" ").map(Number);
  const body = "x".repeat(50_000);
  const acknowledged: string[] = [];
  let refused = 0;
  for (let count = 0; count < 400; count++) {
    const payload = `[${count},"${body}"]`;
    const isHttp = count % 2 === 1;
    const reply = isHttp
      ? await post(httpPort, payload)
      : await sendAsOfficialClient({ port }, payload);
    if (reply === (isHttp ? 202 : "2:OK")) acknowledged.push(payload);
    else {
      expect(reply).toBe(isHttp ? 503 : "5:ER");
      refused++;
    }
  }
  server.kill("SIGKILL");
  await exited;
  expect(acknowledged.length).toBeGreaterThan(10);
  expect(refused).toBeGreaterThan(10);
  expect(log).toContain("buffer cannot write");
  const stored = new Set(readStored(path).map(({ payload }) => payload.toString()));
  expect(acknowledged.filter((payload) => !stored.has(payload))).toEqual([]);
});

async function post(port: number, body: string): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${port}/v1/ingest`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
  });
  await response.arrayBuffer();
  return response.status;
}
