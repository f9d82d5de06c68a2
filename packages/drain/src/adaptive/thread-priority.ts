import { readlinkSync } from "node:fs";
import { getPriority, setPriority } from "node:os";

/**
 * A tenth of an ordinary thread's weight. Not 19, a seventieth: a thread holds the buffer's write lock, or
 * rows in PostgreSQL, for as long as it waits for a processor.
 */
const POLITE_NICE = 10;

/**
 * Lets other threads of the machine go before the calling one, on Linux; elsewhere, where a priority is
 * the whole process's, it does nothing. Never raises a priority, and is kept until the thread ends.
 */
export function lowerThreadPriority(): void {
  if (process.platform !== "linux") return;
  try {
    // PID/task/TID; Linux's setpriority takes a thread's id.
    const thread = Number(readlinkSync("/proc/thread-self").split("/").at(-1));
    if (getPriority(thread) < POLITE_NICE) setPriority(thread, POLITE_NICE);
  } catch {
    // No /proc, or a sandbox that forbids it: it stays as it was.
  }
}
