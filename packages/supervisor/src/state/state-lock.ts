import { mkdirSync, readFileSync, statSync, unlinkSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { messageOf, MillraceError } from "@millrace/core";
import type { SupervisorErrorCode } from "../errors.ts";
import { readBootId, readProcStat } from "../process/proc-stat.ts";
import { isSameProcess } from "../process/process-identity.ts";

/**
 * Keeps two supervisors from sharing a state file, which would fight over the same instances. A lock
 * whose owner is dead is taken over.
 */
export class StateLock {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** @throws {@link MillraceError} `SUPERVISOR_STATE_LOCKED`, `SUPERVISOR_STATE_NOT_WRITABLE` */
  acquire(): void {
    for (let attempt = 0; attempt < 3; attempt++) {
      if (this.#tryCreate()) return;
      const owner = this.#readOwner();
      if (owner !== undefined) {
        throw new MillraceError<SupervisorErrorCode>(
          "SUPERVISOR_STATE_LOCKED",
          `process ${owner} uses the state file of ${this.#path}: stop it or use another file`,
          { details: { pid: owner } },
        );
      }
      this.release();
    }
    throw notWritable(this.#path, new Error(`${this.#path} cannot be taken over`));
  }

  release(): void {
    try {
      unlinkSync(this.#path);
    } catch {
      // Somebody else was faster.
    }
  }

  #tryCreate(): boolean {
    const startTicks = readProcStat(process.pid)?.startTicks ?? 0;
    const owner = JSON.stringify({ pid: process.pid, startTicks, bootId: readBootId() });
    try {
      mkdirSync(dirname(this.#path), { recursive: true });
      writeFileSync(this.#path, owner, { flag: "wx", mode: 0o600 });
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EEXIST" && isFile(this.#path)) return false;
      throw notWritable(this.#path, error);
    }
  }

  /** Pid of a living owner. */
  #readOwner(): number | undefined {
    try {
      const owner = JSON.parse(readFileSync(this.#path, "utf8")) as {
        pid: number;
        startTicks: number;
        bootId: string;
      };
      return owner.bootId === readBootId() && isSameProcess(owner) ? owner.pid : undefined;
    } catch {
      return undefined;
    }
  }
}

function notWritable(path: string, cause: unknown): MillraceError {
  return new MillraceError<SupervisorErrorCode>(
    "SUPERVISOR_STATE_NOT_WRITABLE",
    `cannot write beside the state file (${messageOf(cause)}): choose a folder that this user may write to, on a disk with free space`,
    { cause, details: { path } },
  );
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}
