import { MillraceError } from "@millrace/core";
import {
  BrokenCircuitError,
  circuitBreaker,
  type CircuitBreakerPolicy,
  CircuitState,
  ConsecutiveBreaker,
  ExponentialBackoff,
  handleWhen,
  type IPolicy,
  retry,
  wrap,
} from "cockatiel";
import type { TokenLimits } from "../limits/token-limits.ts";
import type { Completion, CompletionOptions, CompletionRequest } from "./provider.ts";
import { unavailable } from "./provider-errors.ts";
import type { ResolvedProviderEntry } from "./providers-options.ts";
import type { TextRelay } from "./text-relay.ts";

/** One provider behind its retries and its breaker; both count only failures that may pass. */
export class GuardedProvider {
  readonly entry: ResolvedProviderEntry;
  readonly #breaker: CircuitBreakerPolicy;
  readonly #policy: IPolicy;
  readonly #limits: TokenLimits | undefined;
  #openedAt = 0;

  constructor(entry: ResolvedProviderEntry, limits: TokenLimits | undefined) {
    this.entry = entry;
    this.#limits = limits;
    // A 429 is not a failure: it closes the account for a while instead.
    const mayPass = handleWhen(
      (error) => MillraceError.is(error) && error.code === "QUEUE_PROVIDER_UNAVAILABLE",
    );
    this.#breaker = circuitBreaker(mayPass, {
      halfOpenAfter: entry.halfOpenAfterMs,
      breaker: new ConsecutiveBreaker(entry.breakAfter),
    });
    this.#breaker.onBreak(() => {
      this.#openedAt = Date.now();
    });
    this.#policy = wrap(
      retry(mayPass, {
        maxAttempts: entry.attempts - 1,
        backoff: new ExponentialBackoff({ initialDelay: 100, maxDelay: 2_000 }),
      }),
      this.#breaker,
    );
  }

  get isOpen(): boolean {
    return this.#breaker.state === CircuitState.Open;
  }

  /** Whether to ask it at all: an open breaker lets one probe through at a time among all processes. */
  async mayAsk(): Promise<boolean> {
    if (!this.isOpen) return true;
    if (Date.now() - this.#openedAt < this.entry.halfOpenAfterMs) return false;
    return (await this.#limits?.mayProbe(this.entry.name, this.entry.halfOpenAfterMs)) ?? true;
  }

  async complete(
    request: CompletionRequest,
    options: Omit<CompletionOptions, "onText">,
    relay: TextRelay,
  ): Promise<Completion> {
    const model = this.entry.models?.[request.model] ?? request.model;
    try {
      return await this.#policy.execute(async () => {
        // A broken stream is not begun again.
        if (relay.hasText) throw unavailable(this.entry.name, "broke its stream off");
        const { onText } = relay;
        return await this.entry.adapter.complete({ ...request, model }, { ...options, onText });
      }, options.signal);
    } catch (error) {
      if (options.signal?.aborted) throw options.signal.reason;
      if (error instanceof BrokenCircuitError) {
        throw unavailable(this.entry.name, "failed too often and is left alone", error);
      }
      throw error;
    }
  }
}
