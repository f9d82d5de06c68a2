import type { Database } from "better-sqlite3";
import type { Logger } from "../logger.ts";
import { writeFailed } from "./buffer-errors.ts";
import { waitingForLocks } from "./database.ts";
import type { BufferOwner } from "./durable-buffer.ts";
import { withReserve } from "./reserve-file.ts";
import { beat, countCrash, OWNER_HEARTBEAT_MS, registerOwner, removeOwner } from "./owners.ts";

const BEAT_RETRY_MS = 97;

/** The owners that this process has registered; says for them that they live. */
export class ClaimOwners {
  readonly #database: Database;
  readonly #turns: SharedArrayBuffer;
  readonly #logger: Logger;
  readonly #owners = new Set<string>();
  /** Released, and still in the file: it could not be written. */
  readonly #leaving = new Set<string>();
  readonly #heartbeat: NodeJS.Timeout;
  #retry: NodeJS.Timeout | undefined;

  constructor(database: Database, turns: SharedArrayBuffer, logger: Logger) {
    this.#database = database;
    this.#turns = turns;
    this.#logger = logger;
    this.#heartbeat = setInterval(() => this.#beat(), OWNER_HEARTBEAT_MS);
    this.#heartbeat.unref();
  }

  /** @throws {@link MillraceError} `BUFFER_WRITE_FAILED`. */
  register(): BufferOwner {
    const database = this.#database;
    const owner = this.#write(() => registerOwner(database));
    this.#owners.add(owner);
    return {
      owner,
      turns: this.#turns,
      countCrash: (worker) => {
        if (database.open) this.#write(() => countCrash(database, owner, worker));
      },
      release: () => {
        this.#owners.delete(owner);
        this.#leaving.add(owner);
        if (database.open) this.#removeLeaving();
      },
    };
  }

  close(): void {
    clearInterval(this.#heartbeat);
    clearTimeout(this.#retry);
    if (this.#leaving.size > 0 && this.#database.open) this.#removeLeaving();
  }

  /** Waits for locks; without an owner nothing is drained, and so nothing makes room. */
  #write<Result>(work: () => Result): Result {
    const { name } = this.#database;
    try {
      return waitingForLocks(this.#database, () => withReserve(name, work));
    } catch (error) {
      throw writeFailed(name, error);
    }
  }

  /** What cannot be removed now is not beaten for any more: it counts as dead soon. */
  #removeLeaving(): void {
    try {
      for (const owner of this.#leaving) {
        this.#write(() => removeOwner(this.#database, owner));
        this.#leaving.delete(owner);
      }
    } catch (error) {
      this.#logger.warn({ err: error }, "an owner of claims could not sign off");
    }
  }

  #beat(): void {
    clearTimeout(this.#retry);
    try {
      for (const owner of this.#owners) beat(this.#database, owner);
    } catch (error) {
      // A disk that takes no writes is reported by appends.
      this.#logger.debug({ err: error }, "owner heartbeat failed");
      // Beats and maintenance may be in step: the same lock could be held at every one of them.
      this.#retry = setTimeout(() => this.#beat(), BEAT_RETRY_MS);
      this.#retry.unref();
    }
  }
}
