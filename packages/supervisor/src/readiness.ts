import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { type Logger, LogThrottle, messageOf } from "@millrace/core";
import type { Fleet } from "./fleet.ts";
import type { ManagedProcess } from "./scaling/managed-process.ts";

/** Whether everything that counts is ready, and if not, what isn't. */
export interface Readiness {
  ready: boolean;
  waitingFor: string[];
}

/** Reads the readiness of the processes named, or of all that are meant to run all the time. */
export function readReadiness(fleet: Fleet, names: readonly string[] | undefined): Readiness {
  const processes = [...fleet.processes.values()].filter(
    (process) => names?.includes(process.name) ?? isService(process),
  );
  const waitingFor = processes
    .map((process) => {
      const ready = process.active.filter(({ state }) => state === "ready").length;
      if (ready >= process.desired && !process.isStoppedByHand) return "";
      return `${process.name}: ${ready} of ${process.desired} ready`;
    })
    .filter((text) => text !== "");
  return { ready: waitingFor.length === 0, waitingFor };
}

function isService({ spec: { options } }: ManagedProcess): boolean {
  return options.type === "service" && options.schedule === undefined;
}

/** A file that exists while everything is ready: for an orchestrator that probes by command. */
export class ReadyFile {
  readonly #path: string;
  readonly #content: string;
  readonly #throttle: LogThrottle;
  #exists: boolean | undefined;

  constructor(path: string, content: string, logger: Logger) {
    this.#path = path;
    this.#content = content;
    this.#throttle = new LogThrottle(logger);
  }

  set(ready: boolean): void {
    if (this.#exists === ready) return;
    try {
      if (ready) {
        mkdirSync(dirname(this.#path), { recursive: true });
        writeFileSync(this.#path, this.#content);
      } else rmSync(this.#path, { force: true });
      this.#exists = ready;
    } catch (error) {
      const reason = messageOf(error);
      const fields = { file: this.#path, reason };
      this.#throttle.warn("ready file", () => fields, `the ready file can't be kept: ${reason}`);
    }
  }
}
