import type { RemainingUsage } from "../limits/token-limits.ts";

/** One turn of a conversation. */
export interface ChatMessage {
  role: "user" | "assistant";
  content: string;
}

/** What a model is asked. */
export interface CompletionRequest {
  model: string;
  system?: string | undefined;
  messages: readonly ChatMessage[];
  maxOutputTokens: number;
  temperature?: number | undefined;
}

/** What a model answered. */
export interface Completion {
  text: string;
  /** As the provider names it. */
  model: string;
  inputTokens: number;
  outputTokens: number;
  /** In the provider's words, such as `end_turn`, `stop` or `max_tokens`. */
  stopReason: string;
}

/** How one completion is asked for. */
export interface CompletionOptions {
  /** Aborting it ends the request. */
  signal?: AbortSignal | undefined;
  /** Makes the provider stream; called with each piece of text. */
  onText?: ((text: string) => void) | undefined;
  /** Hears what the provider says is left of its limits, with each answer that says so. */
  onRemaining?: ((left: RemainingUsage) => void) | undefined;
  /** Sent as `Idempotency-Key`. */
  idempotencyKey?: string | undefined;
}

/** How one provider is spoken to. */
export interface ProviderAdapter {
  /**
   * @throws {@link MillraceError} `QUEUE_PROVIDER_RATE_LIMITED` with `details.waitMs`,
   * `QUEUE_PROVIDER_UNAVAILABLE` for what may pass, `QUEUE_PROVIDER_FAILED` for what will not.
   */
  complete(request: CompletionRequest, options: CompletionOptions): Promise<Completion>;
  close(): Promise<void>;
}
