import { MillraceError } from "@millrace/core";
import type { SupervisorErrorCode } from "../errors.ts";
import type { Fleet } from "../fleet.ts";
import type { ManagedProcess } from "../scaling/managed-process.ts";
import type { SharedListener } from "./shared-listener.ts";
import { readSocketTable, socketInode, socketLoad } from "./socket-table.ts";

interface Watched {
  process: ManagedProcess;
  port: number;
  inode: string;
  idleMs: number;
  /** Monotonic; when a connection was last seen open. */
  busyAtMs: number;
}

const POLL_MS = 10;
const IDLE_POLL_MS = 250;
// A table of many sockets takes milliseconds to read: looking must not become the work.
const MAX_SHARE = 0.02;

/**
 * Starts a process that is scaled to zero when a connection waits on its listener, and scales it
 * back once none has been open for a while. The kernel holds the connection until an instance
 * accepts it: nothing passes through the supervisor, so children of any language can be started so.
 */
export class ConnectionWatch {
  readonly #fleet: Fleet;
  readonly #watched: Watched[];
  #timer: NodeJS.Timeout | undefined;

  /** @throws {@link MillraceError} `SUPERVISOR_ON_DEMAND_UNSUPPORTED` */
  constructor(fleet: Fleet, listeners: ReadonlyMap<string, SharedListener>) {
    this.#fleet = fleet;
    this.#watched = [...listeners].flatMap(([name, { fd, port }]) => {
      const process = fleet.process(name);
      const { onDemand } = process.spec.options.listen ?? {};
      if (onDemand === undefined) return [];
      const inode = socketInode(fd);
      if (inode === undefined || readSocketTable() === undefined) throw unsupported(name);
      return [{ process, port, inode, idleMs: onDemand.idleMs, busyAtMs: performance.now() }];
    });
  }

  start(): void {
    if (this.#watched.length > 0) this.#schedule(POLL_MS);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #schedule(delayMs: number): void {
    this.#timer = setTimeout(() => this.#look(), delayMs);
    this.#timer.unref();
  }

  #look(): void {
    const startedAt = performance.now();
    const table = readSocketTable() ?? "";
    for (const watched of this.#watched) this.#judge(watched, table, startedAt);
    const isAnyDown = this.#watched.some(({ process }) => process.desired === 0);
    const spentMs = performance.now() - startedAt;
    this.#schedule(Math.max(isAnyDown ? POLL_MS : IDLE_POLL_MS, spentMs / MAX_SHARE));
  }

  #judge(watched: Watched, table: string, nowMs: number): void {
    const { process, idleMs } = watched;
    const { waiting, open } = socketLoad(table, watched.inode, watched.port);
    if (process.isStoppedByHand) return;
    if (process.desired === 0) {
      watched.busyAtMs = nowMs;
      if (waiting > 0) this.#fleet.scale(process.name, 1, {}, "connection");
      return;
    }
    const isSettled = process.operations.activeKinds.length === 0;
    if (open > 0 || !isSettled) watched.busyAtMs = nowMs;
    else if (idleMs > 0 && nowMs - watched.busyAtMs >= idleMs) {
      this.#fleet.scale(process.name, process.spec.options.minScale, {}, "idle");
      watched.busyAtMs = nowMs;
    }
  }
}

function unsupported(name: string): MillraceError<SupervisorErrorCode> {
  return new MillraceError<SupervisorErrorCode>(
    "SUPERVISOR_ON_DEMAND_UNSUPPORTED",
    `${name} can't be started on demand: that needs /proc/net/tcp, which this platform lacks; ` +
      "leave listen.onDemand out",
    { details: { process: name } },
  );
}
