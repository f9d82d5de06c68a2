import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { unrefChild } from "../process/unref-child.ts";
import { GUARDIAN_SCRIPT } from "./guardian-script.ts";

const GRACE_SECONDS = "0.5";

/**
 * Sees to it that nothing outlives a supervisor that was killed: a tiny process that waits for the
 * supervisor's end of a pipe to close. Children are told apart by a tag in their environment, so
 * that neither a race nor a reused pid can hit a stranger.
 */
export class Guardian {
  /** Value of `MILLRACE_GUARD_ID` in the environment of guarded children. */
  readonly id = randomUUID();
  #child: ChildProcess | undefined;
  #closed = false;
  readonly #groups = new Set<number>();

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  start(): void {
    const child = spawn(
      "/bin/sh",
      ["-c", GUARDIAN_SCRIPT, "millrace-guardian", this.id, GRACE_SECONDS],
      {
        stdio: ["pipe", "ignore", "ignore"],
        // A session of its own: what ends the supervisor's terminal must not end the guardian first.
        detached: true,
        // Without the tag of an outer supervisor, whose guardian would otherwise end this one.
        env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin" },
      },
    );
    this.#child = child;
    child.stdin?.on("error", () => {});
    child.on("error", () => {});
    child.once("exit", () => {
      if (!this.#closed) this.start();
    });
    unrefChild(child);
    for (const group of this.#groups) this.#tell(`+${group}`);
  }

  /** A group that must not outlive the supervisor; needed only where there is no `/proc`. */
  add(groupId: number): void {
    this.#groups.add(groupId);
    if (process.platform !== "linux") this.#tell(`+${groupId}`);
  }

  remove(groupId: number): void {
    this.#groups.delete(groupId);
    if (process.platform !== "linux") this.#tell(`-${groupId}`);
  }

  /** Ends the guardian without harm to anyone: everything has been stopped. */
  async close(): Promise<void> {
    this.#closed = true;
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = new Promise<void>((resolve) => {
      child.once("exit", () => resolve());
    });
    child.stdin?.end("bye\n");
    await exited;
  }

  #tell(line: string): void {
    this.#child?.stdin?.write(`${line}\n`);
  }
}
