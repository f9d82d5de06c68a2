import { spawn, type StdioOptions } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { IngestOptions } from "@millrace/ingest";
import { onTestFinished } from "vitest";
import { readStored, type StoredPayload } from "./running-server.ts";
import { temporaryFolder } from "./temporary-folder.ts";

const fixture = fileURLToPath(new URL("../fixtures/serves-with-options.ts", import.meta.url));

export interface ServerProcess {
  /** 0 on a Unix socket. */
  port: number;
  kill(): Promise<void>;
  stored(): StoredPayload[];
}

/** A server in a process of its own over a buffer of its own. `inherited` becomes its descriptor 3. */
export async function startServerProcess(
  options: Omit<IngestOptions, "buffer">,
  inherited?: number,
): Promise<ServerProcess> {
  const path = join(temporaryFolder(), "buffer.db");
  const stdio: StdioOptions = ["ignore", "pipe", "inherit"];
  if (inherited !== undefined) stdio.push(inherited);
  const child = spawn(
    process.execPath,
    ["--conditions=@millrace/source", fixture, path, JSON.stringify(options)],
    { stdio },
  );
  const exited = once(child, "exit");
  const kill = async () => {
    child.kill("SIGKILL");
    await exited;
  };
  onTestFinished(kill);
  if (child.stdout === null) throw new Error("the server's output is not piped");
  const lines = createInterface(child.stdout);
  const failed = exited.then(() => {
    throw new Error("the server's process ended before it listened");
  });
  const [line] = (await Promise.race([once(lines, "line"), failed])) as [string];
  return { port: Number(line), kill, stored: () => readStored(path) };
}
