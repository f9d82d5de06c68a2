import { mkdirSync, openSync, closeSync, readFileSync, unlinkSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { MillraceError } from "@millrace/core";
import type { SupervisorErrorCode } from "../errors.ts";
import { readBootId, readProcStat } from "../process/proc-stat.ts";
import { isSameProcess } from "./adopted-run.ts";

/**
 * Keeps two supervisors from sharing a state file, which would fight over the same instances. A lock
 * whose owner is dead is taken over.
 */
export class StateLock {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** @throws {@link MillraceError} `SUPERVISOR_STATE_LOCKED` */
  acquire(): void {
    mkdirSync(dirname(this.#path), { recursive: true });
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
  }

  release(): void {
    try {
      unlinkSync(this.#path);
    } catch {
      // Somebody else was faster.
    }
  }

  #tryCreate(): boolean {
    try {
      const file = openSync(this.#path, "wx", 0o600);
      const startTicks = readProcStat(process.pid)?.startTicks ?? 0;
      writeSync(file, JSON.stringify({ pid: process.pid, startTicks, bootId: readBootId() }));
      closeSync(file);
      return true;
    } catch {
      return false;
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
