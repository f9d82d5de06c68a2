import { REAPER_SCRIPT } from "./reaper-script.ts";

/** For tests; there is nothing to choose in a container. */
export interface EnterContainerOptions {
  /** Act as if this were the pid. @default process.pid */
  pid?: number | undefined;
}

/**
 * Call it first in the main program of a container. When the program is process 1, it starts itself
 * again below a tiny shell that reaps zombies and passes signals on, and never returns; otherwise it
 * does nothing. Node.js as process 1 reaps nothing that it adopts.
 *
 * @returns `false`: this is not process 1, go on.
 * @example
 * ```ts
 * import { enterContainer } from "@millrace/supervisor/container";
 *
 * enterContainer();
 * ```
 */
export function enterContainer({ pid = process.pid }: EnterContainerOptions = {}): false {
  if (pid !== 1 || process.execve === undefined) return false;
  const script = process.argv.slice(1);
  const args = ["sh", "-c", REAPER_SCRIPT, "millrace-reaper", process.execPath];
  const env = Object.fromEntries(
    Object.entries(process.env).filter(
      (entry): entry is [string, string] => entry[1] !== undefined,
    ),
  );
  return process.execve("/bin/sh", [...args, ...process.execArgv, ...script], env);
}
