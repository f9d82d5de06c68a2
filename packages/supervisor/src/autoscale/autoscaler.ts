import { type Logger, messageOf } from "@millrace/core";
import type { Clock, Timer } from "../host/clock.ts";
import type {
  AutoscaleContext,
  AutoscaleInput,
  ResolvedAutoscaleOptions,
} from "../options/autoscale-options.ts";
import {
  type AutoscaleDecision,
  decide,
  type DecisionHistory,
  type DecisionRules,
  EMPTY_HISTORY,
  type InputOpinion,
} from "./decision.ts";

const KEPT_DECISIONS = 100;

/** What an autoscaler acts on. */
export interface AutoscaleTarget {
  readonly process: string;
  readonly minScale: number;
  readonly maxScale: number;
  readonly clock: Clock;
  context(): AutoscaleContext;
  /** Whether something else is changing the process: then nothing is decided. */
  isBusy(): boolean;
  scale(desired: number, reason: string): void;
}

/** Asks the inputs of one process again and again and carries out what follows. */
export class Autoscaler {
  readonly #target: AutoscaleTarget;
  readonly #options: ResolvedAutoscaleOptions;
  readonly #logger: Logger;
  readonly #onDecision: (decision: AutoscaleDecision) => void;
  readonly #decisions: AutoscaleDecision[] = [];
  #history: DecisionHistory = EMPTY_HISTORY;
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;
  #closed = false;
  #lastId = 0;

  constructor(
    target: AutoscaleTarget,
    options: ResolvedAutoscaleOptions,
    logger: Logger,
    onDecision: (decision: AutoscaleDecision) => void,
  ) {
    this.#target = target;
    this.#options = options;
    this.#logger = logger;
    this.#onDecision = onDecision;
  }

  /** The newest decisions, newest last. */
  get decisions(): readonly AutoscaleDecision[] {
    return this.#decisions;
  }

  start(): void {
    this.#schedule();
  }

  /** Decides now: somebody knows that work has come. */
  wake(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#timer?.close();
    this.#running ??= this.#decideOnce().finally(() => {
      this.#running = undefined;
      this.#schedule();
    });
    return this.#running;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.close();
    await this.#running;
  }

  #schedule(): void {
    if (this.#closed) return;
    const { clock } = this.#target;
    this.#timer = clock.setTimeout(() => void this.wake(), this.#options.intervalMs);
  }

  async #decideOnce(): Promise<void> {
    if (this.#target.isBusy()) return;
    const context = this.#target.context();
    const opinions = await Promise.all(
      this.#options.inputs.map((input) => this.#ask(input, context)),
    );
    // An operation may have begun while the inputs were asked.
    if (this.#closed || this.#target.isBusy()) return;
    const { verdict, history } = decide(
      opinions,
      context.current,
      context.nowMs,
      this.#rules(),
      this.#history,
    );
    const applied = !this.#options.dryRun && verdict.desired !== verdict.current;
    // What was not carried out must not count against the rate policies.
    this.#history = this.#options.dryRun ? { ...history, changes: [] } : history;
    const decision: AutoscaleDecision = {
      id: ++this.#lastId,
      process: this.#target.process,
      time: new Date(context.nowMs).toISOString(),
      ...verdict,
      applied,
    };
    this.#decisions.push(decision);
    if (this.#decisions.length > KEPT_DECISIONS) this.#decisions.shift();
    if (applied) this.#apply(decision);
    this.#onDecision(decision);
  }

  #apply(decision: AutoscaleDecision): void {
    try {
      this.#target.scale(decision.desired, "autoscaler");
    } catch (error) {
      decision.applied = false;
      this.#logger.warn(
        { err: error, process: decision.process },
        "an autoscaler's decision was refused",
      );
    }
  }

  async #ask(input: AutoscaleInput, context: AutoscaleContext): Promise<InputOpinion> {
    let timer: Timer | undefined;
    try {
      const late = new Promise<undefined>((resolve) => {
        const patienceMs = Math.max(1_000, this.#options.intervalMs);
        timer = this.#target.clock.setTimeout(() => resolve(undefined), patienceMs);
      });
      return { input: input.name, reading: await Promise.race([input.read(context), late]) };
    } catch (error) {
      this.#logger.debug(
        { process: context.process, input: input.name, problem: messageOf(error) },
        "an autoscaler input failed",
      );
      return { input: input.name, reading: undefined };
    } finally {
      timer?.close();
    }
  }

  #rules(): DecisionRules {
    const { min, max, up, down, cooldownMs, activationSamples, fallback } = this.#options;
    return {
      min: Math.max(min ?? 0, this.#target.minScale),
      max: Math.min(max ?? Number.POSITIVE_INFINITY, this.#target.maxScale),
      up,
      down,
      cooldownMs,
      activationSamples,
      fallback,
    };
  }
}
