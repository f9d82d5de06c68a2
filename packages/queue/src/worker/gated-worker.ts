import { Worker } from "bullmq";

/** Commands of BullMQ that answer with the next job to run. */
const FETCHING_COMMANDS = new Set(["moveToActive", "moveToFinished", "moveToDelayed"]);

/**
 * BullMQ's worker, which also sees for which attempt the gate granted a slot.
 *
 * BullMQ reads the whole job hash when it fetches a job and drops the fields it does not know. The
 * grant is picked from that same reply, so that proving a slot costs no round trip. Where a version
 * of BullMQ answers in another shape nothing is picked and the guard asks Redis instead.
 */
export class GatedWorker extends Worker {
  // Declared, not initialised: BullMQ's constructor calls createBackend before fields are set.
  declare grants: Map<string, number>;
  /** Fetched jobs that were cancelled before. */
  declare cancelled: Set<string>;

  protected override createBackend(): void {
    super.createBackend();
    this.grants = new Map();
    this.cancelled = new Set();
    const backend = this.backend;
    const execute = backend.execCommand.bind(backend);
    backend.execCommand = (client, command, args): unknown => {
      const reply: unknown = execute(client, command, args);
      if (!FETCHING_COMMANDS.has(command) || !(reply instanceof Promise)) return reply;
      return reply.then((fetched: unknown) => {
        this.#pickGrant(fetched);
        return fetched;
      });
    };
  }

  #pickGrant(fetched: unknown): void {
    if (!Array.isArray(fetched) || !Array.isArray(fetched[0])) return;
    const fields: unknown[] = fetched[0];
    for (let index = 0; index < fields.length; index += 2) {
      if (fields[index] === "gs") this.grants.set(String(fetched[1]), Number(fields[index + 1]));
      if (fields[index] === "cx") this.cancelled.add(String(fetched[1]));
    }
  }
}
