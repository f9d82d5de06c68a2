import { SharedListener } from "./listener/shared-listener.ts";
import type { LaunchContext } from "./process/launch-plan.ts";
import type { ProcessSpec } from "./process/process-spec.ts";
import type { ManagedProcess } from "./scaling/managed-process.ts";

type SharedContext = Pick<
  LaunchContext,
  "env" | "cpuCount" | "memoryBytes" | "guardId" | "stateId"
>;

// Beats per timeout: one lost beat must not look like a hang.
const BEATS_PER_TIMEOUT = 4;
const DEFAULT_HEARTBEAT_MS = 1_000;

/** Holds the shared listeners and says what plans depend on besides options. */
export class LaunchContexts {
  readonly #shared: SharedContext;
  readonly #listeners = new Map<string, SharedListener>();

  constructor(shared: SharedContext) {
    this.#shared = shared;
  }

  async openListeners(processes: Iterable<ManagedProcess>): Promise<void> {
    for (const process of processes) {
      const { listen } = process.spec.options;
      if (listen === undefined || listen.reusePort) continue;
      if (listen.cluster) {
        process.listenPort = listen.port;
        continue;
      }
      try {
        const listener = await SharedListener.open(listen);
        this.#listeners.set(process.name, listener);
        process.listenPort = listener.port;
      } catch (error) {
        this.close();
        throw error;
      }
    }
  }

  get listeners(): ReadonlyMap<string, SharedListener> {
    return this.#listeners;
  }

  close(): void {
    for (const listener of this.#listeners.values()) listener.close();
    this.#listeners.clear();
  }

  of({ name, options }: ProcessSpec): LaunchContext {
    const listener = this.#listeners.get(name);
    const { liveness } = options.health;
    return {
      ...this.#shared,
      listenFd: listener?.fd,
      listenPort: listener?.port ?? options.listen?.port,
      heartbeatMs:
        liveness?.type === "ipc"
          ? Math.max(10, liveness.timeoutMs / BEATS_PER_TIMEOUT)
          : DEFAULT_HEARTBEAT_MS,
    };
  }
}
