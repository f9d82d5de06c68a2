import { parseChildMessage } from "../child/protocol.ts";
import type { ChildSignals } from "../health/ipc-probe.ts";
import type { Clock } from "../host/clock.ts";

/** What the child of one run has said over IPC. */
export class ChildLink {
  readonly signals: ChildSignals = { saidReady: false, lastHeartbeatMs: undefined };
  readonly #maxExtensionMs: number;
  readonly #clock: Clock;
  #onDrained: () => void = () => {};
  #drained: Promise<void> | undefined;
  #extensionMs = 0;
  /** Jobs in hand, as the child last reported. */
  busy: number | undefined;
  /** As the child last reported. */
  eventLoopUtilisation: number | undefined;

  /** A child may put off its deadline by `maxExtensionMs`, all extensions together. */
  constructor(maxExtensionMs: number, clock: Clock) {
    this.#clock = clock;
    this.#maxExtensionMs = maxExtensionMs;
  }

  /** Resolves when the child said that it is drained; `undefined` when it can't say. */
  get drained(): Promise<void> | undefined {
    return this.#drained;
  }

  get extensionMs(): number {
    return this.#extensionMs;
  }

  /** Takes a message; `true` when it says that the child is ready. */
  receive(raw: unknown): boolean {
    const message = parseChildMessage(raw);
    switch (message?.millrace) {
      case "hello":
        this.#drained = new Promise((resolve) => {
          this.#onDrained = resolve;
        });
        break;
      case "ready":
        this.signals.saidReady = true;
        return true;
      case "heartbeat":
        this.signals.lastHeartbeatMs = this.#clock.monotonicMs();
        this.busy = message.busy;
        this.eventLoopUtilisation = message.eventLoopUtilisation;
        break;
      case "drain-progress":
        this.busy = message.busy;
        break;
      case "drain-extend":
        this.#extensionMs = Math.min(this.#maxExtensionMs, this.#extensionMs + message.byMs);
        break;
      case "drained":
        this.#onDrained();
        break;
      case undefined:
        break;
      default:
        message satisfies never;
    }
    return false;
  }
}
