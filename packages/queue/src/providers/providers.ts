import { defaultLogger, MillraceError, parseOptions, sleep } from "@millrace/core";
import type { RemainingUsage, Reservation, ReservationRefused } from "../limits/token-limits.ts";
import { estimateInputTokens, UsageEstimator } from "../limits/usage-estimator.ts";
import { inSpan } from "../tracing.ts";
import { GuardedProvider } from "./guarded-provider.ts";
import type { Completion, CompletionOptions, CompletionRequest } from "./provider.ts";
import { providerFailed, rateLimited } from "./provider-errors.ts";
import {
  providerEntriesSchema,
  type ProviderEntry,
  type ProvidersOptions,
  providersOptionsSchema,
} from "./providers-options.ts";
import { TextRelay } from "./text-relay.ts";

/** A call to whichever provider can take it. */
export interface ProviderCall extends CompletionRequest, CompletionOptions {
  tenantId: string;
  /** Provider to begin with. @default the first */
  provider?: string | undefined;
  /** Whether the overflow may answer: for work that a small model can do. @default false */
  allowOverflow?: boolean | undefined;
  /** Groups calls whose use is alike, for estimates; a role for example. @default "" */
  kind?: string | undefined;
}

/** An answer and who gave it. */
export interface ProviderAnswer extends Completion {
  provider: string;
}

/** Model providers with limits, retries, breakers and fallbacks. */
export interface Providers {
  /**
   * Asks the first provider of the chain that may be asked and answers.
   *
   * @throws {@link MillraceError} `QUEUE_PROVIDER_RATE_LIMITED` when all are limited: a worker puts the
   * task off for `details.waitMs` when a handler lets it pass; `QUEUE_PROVIDER_UNAVAILABLE` when all are
   * away, or one broke off after `onText` had some of its answer; `QUEUE_PROVIDER_FAILED` for a
   * request that no retry mends.
   */
  complete(call: ProviderCall): Promise<ProviderAnswer>;
  close(): Promise<void>;
}

/**
 * Creates the providers of a process. It opens connections when it is first asked.
 *
 * @throws {@link MillraceError} `CONFIG_INVALID` for bad entries or options.
 */
export function createProviders(
  entries: readonly ProviderEntry[],
  shared: ProvidersOptions = {},
): Providers {
  const parsed = parseOptions(providerEntriesSchema, entries, "createProviders");
  const { limits, maxInlineWaitMs, ...rest } = parseOptions(
    providersOptionsSchema,
    shared,
    "createProviders",
  );
  const logger = rest.logger ?? defaultLogger();
  const guarded = new Map(parsed.map((entry) => [entry.name, new GuardedProvider(entry, limits)]));
  const estimator = new UsageEstimator();

  return {
    complete: (call) =>
      inSpan(
        "millrace.provider",
        { "millrace.tenant_id": call.tenantId, "millrace.model": call.model },
        () => complete(call),
      ),
    async close() {
      await Promise.all(parsed.map(({ adapter }) => adapter.close()));
    },
  };

  async function complete(call: ProviderCall): Promise<ProviderAnswer> {
    let waitMs = Number.POSITIVE_INFINITY;
    let failure: unknown;
    const relay = new TextRelay(call.onText);
    for (const provider of chain(call)) {
      const { name } = provider.entry;
      if (!(await provider.mayAsk())) {
        logger.debug({ provider: name }, "breaker is open, asking the next provider");
        failure ??= new Error(`${name} is left alone by its breaker`);
        continue;
      }
      try {
        return { ...(await ask(provider, call, relay)), provider: name };
      } catch (error) {
        // Nobody else begins an answer again of which some was shown.
        if (relay.hasText || !MillraceError.is(error) || !error.retryable) throw error;
        failure = error;
        const { waitMs: mine } = error.details;
        if (typeof mine === "number") waitMs = Math.min(waitMs, mine);
        logger.info({ provider: name, code: error.code, waitMs: mine }, "asking the next provider");
      }
    }
    // Up to a fifth more, so that those who were refused together do not return together.
    if (Number.isFinite(waitMs))
      throw rateLimited("every provider", waitMs * (1 + Math.random() / 5));
    throw failure;
  }

  /** The provider asked for, its fallbacks, then the overflow; each once. */
  function chain(call: ProviderCall): Set<GuardedProvider> {
    const found = new Set<GuardedProvider>();
    const overflows: GuardedProvider[] = [];
    let next = guarded.get(call.provider ?? parsed[0]?.name ?? "");
    if (!next) throw providerFailed(call.provider ?? "", "was not given to createProviders");
    while (next && !found.has(next)) {
      found.add(next);
      const overflow = guarded.get(next.entry.overflow ?? "");
      if (overflow && call.allowOverflow) overflows.push(overflow);
      next = guarded.get(next.entry.fallbackTo ?? "");
    }
    for (const overflow of overflows) found.add(overflow);
    return found;
  }

  async function ask(
    provider: GuardedProvider,
    call: ProviderCall,
    relay: TextRelay,
  ): Promise<Completion> {
    const { account } = provider.entry;
    const { model, system, messages, maxOutputTokens, temperature, signal, idempotencyKey } = call;
    const request = { model, system, messages, maxOutputTokens, temperature };
    let left: RemainingUsage | undefined;
    const onRemaining = (said: RemainingUsage) => {
      left = said;
      call.onRemaining?.(said);
    };
    const options = { signal, idempotencyKey, onRemaining };
    if (!limits || account === undefined) return await provider.complete(request, options, relay);
    const key = `${call.kind ?? ""}|${model}`;
    const estimate = {
      inputTokens: estimateInputTokens(request),
      outputTokens: estimator.outputTokens(key, maxOutputTokens),
    };
    const reservation = await reserve({ tenantId: call.tenantId, account, estimate }, signal);
    if (!reservation.granted) throw rateLimited(provider.entry.name, reservation.waitMs);
    let completion: Completion;
    try {
      completion = await provider.complete(request, options, relay);
    } catch (error) {
      await book(reservation, () => afterFailure(reservation, error, left));
      throw error;
    }
    await book(reservation, async () => {
      await limits.settle(reservation, completion, left);
      estimator.learn(key, maxOutputTokens, completion.outputTokens);
    });
    return completion;
  }

  /** What is not booked counts as it was estimated: the answer, or the failure, is told all the same. */
  async function book({ account }: Reservation, change: () => Promise<void>): Promise<void> {
    try {
      await change();
    } catch (error) {
      logger.warn({ err: error, account }, "use of a provider not booked, it counts as estimated");
    }
  }

  async function reserve(
    request: {
      tenantId: string;
      account: string;
      estimate: { inputTokens: number; outputTokens: number };
    },
    signal: AbortSignal | undefined,
  ): Promise<Reservation | ReservationRefused> {
    const deadline = Date.now() + maxInlineWaitMs;
    for (;;) {
      const reservation = (await limits?.reserve(request)) as Reservation | ReservationRefused;
      if (reservation.granted || Date.now() + reservation.waitMs > deadline) return reservation;
      if (!(await sleep(reservation.waitMs, signal))) throw signal?.reason;
    }
  }

  async function afterFailure(
    reservation: Reservation,
    error: unknown,
    left: RemainingUsage | undefined,
  ): Promise<void> {
    if (!MillraceError.is(error)) return;
    if (error.code === "QUEUE_PROVIDER_RATE_LIMITED") {
      await limits?.block(reservation.account, Number(error.details["waitMs"]));
    }
    // Refused calls are free. One that broke off may have been charged: it stays reserved as spent.
    if (error.code !== "QUEUE_PROVIDER_UNAVAILABLE") await limits?.refund(reservation, left);
  }
}
