import { readdirSync, readFileSync } from "node:fs";

/** Pids whose command line is exactly these words, zombies left out. */
export function pidsOf(words: readonly string[]): number[] {
  const wanted = `${words.join("\0")}\0`;
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => pid > 0 && read(`/proc/${pid}/cmdline`) === wanted);
}

/** Resident and proportional memory of a process, in MiB. */
export function memoryOf(pid: number): { rss: number; pss: number } {
  const text = read(`/proc/${pid}/smaps_rollup`);
  const field = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(text)?.[1]) / 1_024;
  return { rss: field("Rss"), pss: field("Pss") };
}

/** Processor time of a process, in milliseconds. */
export function cpuMsOf(pid: number): number {
  const text = read(`/proc/${pid}/stat`);
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** Waits until `condition` gives something, looking every millisecond; gives the milliseconds it took. */
export async function timeUntil(condition: () => boolean, timeoutMs = 60_000): Promise<number> {
  const startedAt = performance.now();
  while (!condition()) {
    if (performance.now() - startedAt > timeoutMs)
      throw new Error("the condition did not hold in time");
    await new Promise((resolve) => {
      setTimeout(resolve, 1);
    });
  }
  return performance.now() - startedAt;
}

function read(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}
