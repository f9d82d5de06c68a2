import type { SupervisorMessage } from "../child/protocol.ts";
import type { Exit } from "./restart-policy.ts";

/** One process of an instance, from its start to its end. */
export interface Run {
  /** In the environment of all that it starts; `undefined` when it has none. */
  readonly id: string | undefined;
  readonly pid: number | undefined;
  /** Wall clock, in milliseconds. */
  readonly startedAtMs: number;
  /** Monotonic clock, in milliseconds: uptimes must not jump with the wall clock. */
  readonly startedMonotonicMs: number;
  readonly exited: Promise<Exit>;
  readonly hasEnded: boolean;
  /** Found running at start, so not our child. */
  readonly isAdopted: boolean;
  /** Resolves when its output has been read to the end. */
  readonly outputEnded: Promise<unknown>;
  /** Sends a signal to the process and everything in its group. */
  signal(signal: NodeJS.Signals): void;
  /** Sends an IPC message; `false` without a channel. */
  send(message: SupervisorMessage): boolean;
  /** Whether anything of it, children included, still runs. */
  isAlive(): boolean;
  /** Lets go of its output; call once nothing of it runs. */
  release(): void;
}

/** What a run reports while it lasts. */
export interface RunListeners {
  onSpawned(): void;
  onExit(exit: Exit): void;
  onMessage(message: unknown): void;
  onOutput(stream: "stdout" | "stderr", chunk: Buffer): void;
  onOutputEnd(stream: "stdout" | "stderr"): void;
}
