import type { Clock, Timer } from "../host/clock.ts";
import type { ResolvedProbe } from "../options/probe-options.ts";
import type { Probe, ProbeAnswer } from "./probe.ts";

/** Called when a probe changes its mind, the first time included. */
export type OnVerdict = (passed: boolean, reason: string) => void;

/** Runs one probe again and again and reports changes past its thresholds. */
export class ProbeLoop {
  readonly #probe: Probe;
  readonly #options: ResolvedProbe;
  readonly #onVerdict: OnVerdict;
  readonly #eagerMs: number;
  readonly #clock: Clock;
  #timer: Timer | undefined;
  /** Of the question that waits for its answer. */
  #asking: AbortController | undefined;
  #isStopped = false;
  #verdict: boolean | undefined;
  #streak = 0;
  #last: boolean | undefined;

  /** Until it passes for the first time it asks every `eagerMs`, if that is shorter. */
  constructor(
    probe: Probe,
    options: ResolvedProbe,
    onVerdict: OnVerdict,
    clock: Clock,
    eagerMs = Number.POSITIVE_INFINITY,
  ) {
    this.#probe = probe;
    this.#options = options;
    this.#onVerdict = onVerdict;
    this.#clock = clock;
    this.#eagerMs = eagerMs;
  }

  start(): void {
    this.#schedule(this.#options.initialDelayMs);
  }

  stop(): void {
    this.#timer?.close();
    this.#isStopped = true;
    this.#asking?.abort();
  }

  /** Asks now instead of at the next interval. */
  hurry(): void {
    if (this.#timer === undefined || this.#isStopped) return;
    this.#timer?.close();
    this.#schedule(0);
  }

  #schedule(delayMs: number): void {
    this.#timer = this.#clock.setTimeout(() => void this.#ask(), delayMs);
  }

  async #ask(): Promise<void> {
    this.#timer = undefined;
    const asking = new AbortController();
    this.#asking = asking;
    const timer = this.#clock.setTimeout(() => asking.abort(), this.#options.timeoutMs);
    const answer = await this.#probe(asking.signal);
    timer.close();
    this.#asking = undefined;
    if (this.#isStopped) return;
    this.#count(answer);
    // The listener may have stopped this loop.
    if (this.#hasStopped()) return;
    const { intervalMs } = this.#options;
    this.#schedule(this.#verdict === true ? intervalMs : Math.min(intervalMs, this.#eagerMs));
  }

  #hasStopped(): boolean {
    return this.#isStopped;
  }

  #count(answer: ProbeAnswer): void {
    this.#streak = answer.passed === this.#last ? this.#streak + 1 : 1;
    this.#last = answer.passed;
    const { successThreshold, failureThreshold } = this.#options;
    const threshold = answer.passed ? successThreshold : failureThreshold;
    if (this.#streak < threshold || this.#verdict === answer.passed) return;
    this.#verdict = answer.passed;
    this.#onVerdict(answer.passed, answer.reason ?? "probe passed");
  }
}
