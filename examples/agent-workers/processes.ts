import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

/** A process of the example and the first message it sent. */
export interface Started<Message> {
  child: ChildProcess;
  message: Message;
}

/** Starts a file of this folder and waits until it says that it is ready. */
export async function startProcess<Message>(
  file: string,
  env: Record<string, string>,
): Promise<Started<Message>> {
  const child = fork(join(import.meta.dirname, file), { env: { ...process.env, ...env } });
  const gone = once(child, "exit").then(([code]) => {
    throw new Error(`${file} ended with ${String(code)} before it was ready`);
  });
  const [message] = (await Promise.race([once(child, "message"), gone])) as [Message];
  gone.catch(() => {});
  return { child, message };
}

/** SIGTERM, and SIGKILL for what does not end in time. @returns the exit code. */
export async function stopProcess({ child }: { child: ChildProcess }): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const gone = once(child, "exit");
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), 10_000);
  const [code] = (await gone) as [number | null];
  clearTimeout(timer);
  return code;
}
