import type { LogEntry } from "../logs/log-ring.ts";

const CAPTURE_TIMEOUT_MS = 2_000;
const POLL_MS = 20;
const MAX_FRAMES = 32;

/**
 * The JavaScript stack of a Node.js child that no longer answers, innermost frame first; empty when
 * it can't be had. SIGUSR1 makes Node open its inspector, which works in a busy loop, where a
 * diagnostic report does not; the address of the inspector comes from the child's own output.
 */
export async function captureStack(
  pid: number,
  newestLines: (limit: number) => readonly LogEntry[],
): Promise<string[]> {
  const before = newestLines(1)[0]?.sequence ?? 0;
  try {
    process.kill(pid, "SIGUSR1");
  } catch {
    return [];
  }
  const deadline = performance.now() + CAPTURE_TIMEOUT_MS;
  let address: string | undefined;
  while (address === undefined && performance.now() < deadline) {
    for (const { message, sequence } of newestLines(20)) {
      if (sequence > before) address ??= /ws:\/\/127\.0\.0\.1:\d+\/[\w-]+/.exec(message)?.[0];
    }
    if (address === undefined) {
      await new Promise((resolve) => {
        setTimeout(resolve, POLL_MS);
      });
    }
  }
  return address === undefined ? [] : pauseAndRead(address, deadline - performance.now());
}

function pauseAndRead(address: string, timeoutMs: number): Promise<string[]> {
  return new Promise((resolve) => {
    const socket = new WebSocket(address);
    const finish = (frames: string[]): void => {
      clearTimeout(timer);
      socket.close();
      resolve(frames);
    };
    const timer = setTimeout(() => finish([]), Math.max(1, timeoutMs));
    socket.addEventListener("error", () => finish([]));
    socket.addEventListener("open", () => {
      socket.send(JSON.stringify({ id: 1, method: "Debugger.enable" }));
      socket.send(JSON.stringify({ id: 2, method: "Debugger.pause" }));
    });
    socket.addEventListener("message", (event) => {
      const frames = readPaused(String(event.data));
      if (frames !== undefined) finish(frames);
    });
  });
}

interface CallFrame {
  functionName: string;
  url: string;
  location: { lineNumber: number };
}

function readPaused(text: string): string[] | undefined {
  const message = JSON.parse(text) as { method?: string; params?: { callFrames?: CallFrame[] } };
  if (message.method !== "Debugger.paused") return undefined;
  return (message.params?.callFrames ?? [])
    .slice(0, MAX_FRAMES)
    .map(
      ({ functionName, url, location }) =>
        `${functionName || "(anonymous)"} (${url}:${location.lineNumber + 1})`,
    );
}
