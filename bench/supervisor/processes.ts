import { readdirSync, readFileSync } from "node:fs";

/** Pids whose command line is exactly these words, zombies left out. */
export function pidsOf(words: readonly string[]): number[] {
  const wanted = `${words.join("\0")}\0`;
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => pid > 0 && read(`/proc/${pid}/cmdline`) === wanted);
}

/**
 * Processes that weren't there before, by their command lines. Looking is cheap, so that it takes
 * nothing from what is measured: each command line is read until it is one that is looked for.
 */
export class NewProcesses {
  readonly #wanted: ReadonlySet<string>;
  readonly #settled = new Set(readdirSync("/proc"));
  #count = 0;

  constructor(spellings: readonly (readonly string[])[]) {
    this.#wanted = new Set(spellings.map((words) => `${words.join("\0")}\0`));
  }

  /** How many have appeared so far. */
  count(): number {
    for (const name of readdirSync("/proc")) {
      if (this.#settled.has(name) || !this.#wanted.has(read(`/proc/${name}/cmdline`))) continue;
      this.#settled.add(name);
      this.#count++;
    }
    return this.#count;
  }
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

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/** Waits until `condition` gives something, looking every millisecond; gives the milliseconds it took. */
export async function timeUntil(condition: () => boolean, timeoutMs = 60_000): Promise<number> {
  const startedAt = performance.now();
  while (!condition()) {
    if (performance.now() - startedAt > timeoutMs)
      throw new Error("the condition did not hold in time");
    await pause(1);
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
