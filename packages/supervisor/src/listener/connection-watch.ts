import { MillraceError } from "@millrace/core";
import type { SupervisorErrorCode } from "../errors.ts";
import type { Fleet } from "../fleet.ts";
import type { Clock, Timer } from "../host/clock.ts";
import type { ManagedProcess } from "../scaling/managed-process.ts";
import { AcceptQueue } from "./accept-queue.ts";
import { countOpenConnections } from "./open-connections.ts";
import type { SharedListener } from "./shared-listener.ts";

interface Watched {
  process: ManagedProcess;
  port: number;
  queue: AcceptQueue;
  idleMs: number;
  /** Monotonic; when a connection was last seen open. */
  busyAtMs: number;
}

const KNOCK_POLL_MS = 10;
const IDLE_POLL_MS = 250;
const MAX_IDLE_POLL_MS = 2_000;
// A table of very many connections takes long to read: looking must not become the work.
const MAX_SHARE = 0.05;

/**
 * Starts a process that is scaled to zero when a connection waits on its listener, and scales it
 * back once none has been open for a while. The kernel holds the connection until an instance
 * accepts it: nothing passes through the supervisor, so children of any language can be started so.
 */
export class ConnectionWatch {
  readonly #fleet: Fleet;
  readonly #clock: Clock;
  readonly #watched: Watched[];
  #knockTimer: Timer | undefined;
  #idleTimer: Timer | undefined;
  #isStopped = false;

  /** @throws {@link MillraceError} `SUPERVISOR_ON_DEMAND_UNSUPPORTED` */
  constructor(fleet: Fleet, listeners: ReadonlyMap<string, SharedListener>, clock: Clock) {
    this.#fleet = fleet;
    this.#clock = clock;
    this.#watched = [...listeners].flatMap(([name, { fd, port }]) => {
      const process = fleet.process(name);
      const { onDemand } = process.spec.options.listen ?? {};
      if (onDemand === undefined) return [];
      const queue = AcceptQueue.of(fd);
      if (queue === undefined) throw unsupported(name);
      return [{ process, port, queue, idleMs: onDemand.idleMs, busyAtMs: clock.monotonicMs() }];
    });
  }

  start(): void {
    if (this.#watched.length === 0) return;
    this.#knockTimer = this.#clock.setInterval(() => this.#listenForKnocks(), KNOCK_POLL_MS);
    this.#scheduleIdleCheck(IDLE_POLL_MS);
  }

  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#knockTimer?.close();
    this.#idleTimer?.close();
    for (const { queue } of this.#watched) queue.close();
  }

  #listenForKnocks(): void {
    for (const watched of this.#watched) {
      const { process, queue } = watched;
      if (process.desired > 0 || process.isStoppedByHand) continue;
      if ((queue.waiting() ?? 0) === 0) continue;
      watched.busyAtMs = this.#clock.monotonicMs();
      try {
        this.#fleet.scale(process.name, 1, {}, "connection");
      } catch (error) {
        // Where maxInstances leaves no room the connection waits until there is some.
        if (!MillraceError.is(error)) throw error;
      }
    }
  }

  #scheduleIdleCheck(delayMs: number): void {
    this.#idleTimer = this.#clock.setTimeout(() => void this.#checkIdle(), delayMs);
  }

  async #checkIdle(): Promise<void> {
    const startedAt = this.#clock.monotonicMs();
    for (const watched of this.#watched) await this.#letGoIfIdle(watched);
    if (this.#isStopped) return;
    const spentMs = this.#clock.monotonicMs() - startedAt;
    const waitMs = Math.max(IDLE_POLL_MS, spentMs / MAX_SHARE);
    this.#scheduleIdleCheck(Math.min(waitMs, MAX_IDLE_POLL_MS));
  }

  async #letGoIfIdle(watched: Watched): Promise<void> {
    const { process, port, idleMs } = watched;
    if (idleMs === 0 || process.desired === 0 || process.isStoppedByHand) {
      watched.busyAtMs = this.#clock.monotonicMs();
      return;
    }
    const open = await countOpenConnections(port);
    if (this.#isStopped) return;
    const nowMs = this.#clock.monotonicMs();
    const isSettled = process.operations.activeKinds.length === 0;
    if (open > 0 || !isSettled) watched.busyAtMs = nowMs;
    else if (nowMs - watched.busyAtMs >= idleMs) {
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
