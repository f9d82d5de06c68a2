import { type ChildProcess, spawn, type StdioOptions } from "node:child_process";
import { closeSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { Readable } from "node:stream";
import { messageOf } from "@millrace/core";
import type { SupervisorMessage } from "../child/protocol.ts";
import { RUN_ID_VARIABLE } from "../orphans/stray-finder.ts";
import { forkClusterWorker } from "./fork-cluster-worker.ts";
import type { LaunchPlan } from "./launch-plan.ts";
import { groupIsAlive, signalGroup, signalTree } from "./process-group.ts";
import type { Exit } from "./restart-policy.ts";
import type { Run, RunListeners } from "./run.ts";
import { unrefChild } from "./unref-child.ts";

/** Starts a process in a group of its own. Never throws: what can't be started ends at once. */
export function spawnRun(plan: LaunchPlan, listeners: RunListeners): Run {
  return new SpawnedRun(plan, listeners);
}

class SpawnedRun implements Run {
  readonly id: string | undefined;
  readonly startedAtMs = Date.now();
  readonly startedMonotonicMs = performance.now();
  readonly exited: Promise<Exit>;
  readonly outputEnded: Promise<unknown>;
  readonly isAdopted = false;
  readonly #child: ChildProcess | undefined;
  readonly #listeners: RunListeners;
  /** Workers of a cluster share the supervisor's group. */
  readonly #ownsGroup: boolean;
  #resolveExited: (exit: Exit) => void = () => {};
  #hasEnded = false;

  constructor(plan: LaunchPlan, listeners: RunListeners) {
    this.id = plan.env[RUN_ID_VARIABLE];
    this.#listeners = listeners;
    this.#ownsGroup = plan.cluster === undefined;
    this.exited = new Promise((resolve) => {
      this.#resolveExited = resolve;
    });
    try {
      this.#child = this.#spawn(plan);
    } catch (error) {
      this.outputEnded = Promise.resolve();
      setImmediate(() => this.#end({ code: null, signal: null, spawnError: errorCode(error) }));
      return;
    }
    const child = this.#child;
    unrefChild(child);
    this.outputEnded = Promise.all([ended(child.stdout), ended(child.stderr)]);
    child.once("spawn", () => listeners.onSpawned());
    child.on("error", (error) => {
      if (child.pid !== undefined) return;
      this.#end({ code: null, signal: null, spawnError: errorCode(error) });
    });
    child.once("exit", (code, signal) => this.#end({ code, signal }));
    child.on("message", (message) => listeners.onMessage(message));
    for (const stream of ["stdout", "stderr"] as const) {
      child[stream]?.on("data", (chunk: Buffer) => listeners.onOutput(stream, chunk));
      child[stream]?.once("close", () => listeners.onOutputEnd(stream));
      child[stream]?.on("error", () => {});
    }
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  signal(signal: NodeJS.Signals): void {
    const pid = this.pid;
    if (pid === undefined) return;
    if (!this.#ownsGroup) {
      if (!this.#hasEnded) signalTree(pid, signal);
      return;
    }
    // Once the leader is reaped its number may name a stranger's group, unless ours still lives.
    if (this.#hasEnded && !groupIsAlive(pid, this.startedMonotonicMs)) return;
    signalGroup(pid, signal);
  }

  send(message: SupervisorMessage): boolean {
    if (this.#child?.connected !== true) return false;
    this.#child.send(message, () => {});
    return true;
  }

  isAlive(): boolean {
    if (!this.#hasEnded) return this.pid !== undefined;
    if (!this.#ownsGroup || this.pid === undefined) return false;
    return groupIsAlive(this.pid, this.startedMonotonicMs);
  }

  release(): void {
    this.#child?.stdout?.destroy();
    this.#child?.stderr?.destroy();
    if (this.#child?.connected === true) this.#child.disconnect();
  }

  #spawn(plan: LaunchPlan): ChildProcess {
    if (plan.cluster !== undefined) return forkClusterWorker(plan.cluster, plan);
    let outputFd: number | undefined;
    if (plan.outputFile !== undefined) {
      if (plan.outputFile !== "/dev/null") mkdirSync(dirname(plan.outputFile), { recursive: true });
      outputFd = openSync(plan.outputFile, "a", 0o640);
    }
    const output = outputFd ?? "pipe";
    const stdio: StdioOptions = ["ignore", output, output];
    if (plan.listenFd !== undefined) stdio.push(plan.listenFd);
    if (plan.ipc) stdio.push("ipc");
    try {
      return spawn(plan.file, plan.args, {
        env: plan.env,
        stdio,
        detached: true,
        shell: false,
        ...(plan.cwd === undefined ? {} : { cwd: plan.cwd }),
        ...(plan.uid === undefined ? {} : { uid: plan.uid }),
        ...(plan.gid === undefined ? {} : { gid: plan.gid }),
      });
    } finally {
      if (outputFd !== undefined) closeSync(outputFd);
    }
  }

  #end(exit: Exit): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#resolveExited(exit);
    this.#listeners.onExit(exit);
  }
}

/** A child that could not be started for want of descriptors has no streams at all. */
function ended(stream: Readable | null | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (stream instanceof Readable) stream.once("close", () => resolve());
    else resolve();
  });
}

function errorCode(error: unknown): string {
  if (error instanceof Error && "code" in error && typeof error.code === "string")
    return error.code;
  return messageOf(error);
}
