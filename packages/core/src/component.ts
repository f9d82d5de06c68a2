/**
 * `idle` until `start`, `running` until `close` or a fatal error, `draining` while `close` lets work
 * in hand finish.
 */
export type ComponentState = "idle" | "starting" | "running" | "draining" | "closed" | "failed";

/** Whether a component does its job, and if not, why. */
export interface Health {
  healthy: boolean;
  /** One line for a person; set when not healthy. */
  reason?: string | undefined;
  /** Stable and short, for alerts: `table-locked`. Not every component has codes. */
  code?: string | undefined;
}

/** Options of {@link Component.start}. */
export interface StartOptions {
  /** Aborting it makes a `start` still under way fail and undo what it opened. */
  signal?: AbortSignal | undefined;
}

/** Options of {@link Component.close}. */
export interface CloseOptions {
  /**
   * How long work in hand may take before it is cut off, in milliseconds.
   *
   * @default 10_000
   */
  graceMs?: number | undefined;
}

/** What every `createX` of Millrace returns: started once, closed once. */
export interface Component {
  /** For logs and health pages. */
  readonly name: string;
  readonly state: ComponentState;
  /** @throws {@link MillraceError} `ILLEGAL_STATE` when it was started before, and what its `createX` says. */
  start(options?: StartOptions): Promise<void>;
  /** Takes no new work, finishes what is in hand, releases everything. Idempotent. */
  close(options?: CloseOptions): Promise<void>;
  /** Whether it does its job now. Cheap: asked at every request for `/healthz`. */
  health(): Health;
  /** Resolves when the component has ended: with the reason if it failed. Never rejects. */
  readonly closed: Promise<Error | undefined>;
  [Symbol.asyncDispose](): Promise<void>;
}
