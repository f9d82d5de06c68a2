/** Learns what share of `max_tokens` calls really use, per key such as role and model. */
export class UsageEstimator {
  readonly #ratios = new Map<string, { mean: number; deviation: number }>();

  /** Output tokens to reserve: about the 90th percentile of what was used so far; all at first. */
  outputTokens(key: string, maxOutputTokens: number): number {
    const learned = this.#ratios.get(key);
    if (!learned) return maxOutputTokens;
    // 1.28 deviations above the mean are the 90th percentile of a normal distribution.
    const ratio = Math.min(1, learned.mean + 1.28 * learned.deviation);
    return Math.max(1, Math.ceil(maxOutputTokens * ratio));
  }

  learn(key: string, maxOutputTokens: number, outputTokens: number): void {
    const ratio = Math.min(1, outputTokens / Math.max(1, maxOutputTokens));
    const learned = this.#ratios.get(key);
    if (!learned) {
      this.#ratios.set(key, { mean: ratio, deviation: ratio / 2 });
      return;
    }
    const error = ratio - learned.mean;
    learned.mean += 0.1 * error;
    learned.deviation += 0.1 * (Math.abs(error) * 1.25 - learned.deviation);
  }
}

/** Tokens of a text when no tokenizer is at hand: four characters each. */
export function estimateTokens(text: string): number {
  return Math.ceil(text.length / 4);
}

/** Input tokens of a request, by {@link estimateTokens}. */
export function estimateInputTokens({
  system = "",
  messages,
}: {
  system?: string | undefined;
  messages: ReadonlyArray<{ content: string }>;
}): number {
  return estimateTokens([system, ...messages.map(({ content }) => content)].join(""));
}
