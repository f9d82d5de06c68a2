type HeaderValues = Readonly<Record<string, string | string[] | undefined>>;

/** Waits longer than this are not believed. */
const MAX_WAIT_MS = 24 * 3_600_000;

/**
 * How long a provider asks to wait, in milliseconds, or undefined when it does not say: the forms of
 * `retry-after` (RFC 9110, 10.2.3), `retry-after-ms`, Anthropic's and OpenAI's reset headers.
 */
export function retryAfterMs(headers: HeaderValues, now: number): number | undefined {
  const exact = positive(Number(first(headers["retry-after-ms"])));
  if (exact !== undefined) return exact;
  const after = first(headers["retry-after"]);
  if (after !== undefined) {
    const seconds = Number(after);
    const waitMs = Number.isFinite(seconds) ? seconds * 1_000 : Date.parse(after) - now;
    const wait = positive(waitMs);
    if (wait !== undefined) return wait;
  }
  const resets = Object.entries(headers).flatMap(([name, value]) => {
    const text = first(value);
    if (text === undefined) return [];
    // Only what is used up has to be waited for.
    if (!isExhausted(headers, name)) return [];
    if (/^anthropic-ratelimit-.*-reset$/.test(name)) return positive(Date.parse(text) - now) ?? [];
    if (name.startsWith("x-ratelimit-reset-")) return positive(parseDuration(text)) ?? [];
    return [];
  });
  return resets.length === 0 ? undefined : Math.max(...resets);
}

/** OpenAI's durations: `6m0s`, `1h2m3.5s`, `12ms`; NaN for anything else, such as Azure's -1. */
export function parseDuration(text: string): number {
  const match = /^(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?$/.exec(
    text,
  );
  if (!match || text === "") return Number.NaN;
  const [hours = 0, minutes = 0, seconds = 0, ms = 0] = match
    .slice(1)
    .map((part) => Number(part ?? 0));
  return ((hours * 60 + minutes) * 60 + seconds) * 1_000 + ms;
}

function isExhausted(headers: HeaderValues, resetName: string): boolean {
  const remaining = first(headers[resetName.replace("reset", "remaining")]);
  return remaining === undefined || Number(remaining) <= 0;
}

function first(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}

function positive(ms: number): number | undefined {
  return Number.isFinite(ms) && ms > 0 ? Math.min(ms, MAX_WAIT_MS) : undefined;
}
