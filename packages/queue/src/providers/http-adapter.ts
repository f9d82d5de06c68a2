import { parseOptions } from "@millrace/core";
import { Agent, type Dispatcher, request as httpRequest } from "undici";
import * as z from "zod";
import { providerFailed, rateLimited, unavailable } from "./provider-errors.ts";
import type {
  Completion,
  CompletionOptions,
  CompletionRequest,
  ProviderAdapter,
} from "./provider.ts";
import { remainingLimits } from "./remaining-limits.ts";
import { retryAfterMs } from "./retry-after.ts";
import { readBounded, streamEvents } from "./stream-events.ts";

/** Where and how an HTTP provider is reached. */
export interface HttpAdapterOptions {
  /** Address of the API without the path, such as `https://api.anthropic.com`. */
  baseUrl: string;
  /** Secret key of the account. */
  apiKey?: string | undefined;
  /** Headers of every request, besides what the format sets. */
  headers?: Record<string, string> | undefined;
  /** Time until the answer begins, in milliseconds. @default 120_000 */
  headersTimeoutMs?: number | undefined;
  /** Time between two pieces of the answer, in milliseconds. @default 60_000 */
  idleTimeoutMs?: number | undefined;
  /** Largest answer, in bytes. @default 16 MiB */
  maxAnswerBytes?: number | undefined;
  /** undici dispatcher, for proxies and TLS; stays the caller's. @default an agent of our own */
  dispatcher?: Dispatcher | undefined;
}

/** One provider's shapes on the wire. */
export interface HttpFormat {
  name: string;
  path: string;
  headers(apiKey: string | undefined): Record<string, string>;
  body(request: CompletionRequest, isStreaming: boolean): object;
  /** @returns undefined when the answer is not of its documented shape. */
  readAnswer(answer: unknown): Completion | undefined;
  /** How streamed pieces are framed. */
  framing: "sse" | "ndjson";
  /** A reader of one streamed answer; see {@link StreamReader}. */
  createReader(request: CompletionRequest): StreamReader;
}

/** Puts a streamed answer together. */
export interface StreamReader {
  /** @returns the text of the piece; `error` for one that the provider sent in mid-stream. */
  take(piece: unknown): { text?: string | undefined; error?: { type: string; message: string } };
  /** The whole, or undefined when the end was not seen. */
  end(): Completion | undefined;
}

const httpAdapterOptionsSchema = z.strictObject({
  baseUrl: z.url(),
  apiKey: z.string().min(1).meta({ secret: true }).optional(),
  headers: z.record(z.string(), z.string()).default({}),
  headersTimeoutMs: z.int().positive().default(120_000),
  idleTimeoutMs: z.int().positive().default(60_000),
  maxAnswerBytes: z
    .int()
    .positive()
    .default(16 * 1024 * 1024),
  dispatcher: z.custom<Dispatcher>().optional(),
});

/**
 * Speaks a provider's HTTP API in a given format. Retries and fallbacks are not here but in
 * {@link createProviders}.
 *
 * @throws {@link MillraceError} `CONFIG_INVALID` for bad options.
 */
export function httpAdapter(input: HttpAdapterOptions, format: HttpFormat): ProviderAdapter {
  const resolved = parseOptions(httpAdapterOptionsSchema, input, `${format.name} adapter`);
  const dispatcher = resolved.dispatcher ?? new Agent({ allowH2: false });
  const url = resolved.baseUrl.replace(/\/$/, "") + format.path;
  return {
    async complete(request, completionOptions) {
      const isStreaming = completionOptions.onText !== undefined;
      const response = await send(request, completionOptions, isStreaming);
      const { statusCode, headers, body } = response;
      const left = remainingLimits(headers, Date.now());
      if (left) completionOptions.onRemaining?.(left);
      if (statusCode !== 200) {
        const text = await readBounded(body, 4_096).catch(() => "");
        throw statusError(format.name, statusCode, headers, text);
      }
      // What the listener throws is its own, not the provider's.
      let thrown: { error: unknown } | undefined;
      const onText = (text: string) => {
        try {
          completionOptions.onText?.(text);
        } catch (error) {
          thrown = { error };
          throw error;
        }
      };
      try {
        return isStreaming ? await readStream(body, request, onText) : await readWhole(body);
      } catch (error) {
        if (thrown) throw thrown.error;
        throw transportError(format.name, error, completionOptions.signal);
      }
    },
    async close() {
      if (resolved.dispatcher === undefined) await dispatcher.destroy();
    },
  };

  async function send(
    request: CompletionRequest,
    options: CompletionOptions,
    isStreaming: boolean,
  ) {
    try {
      return await httpRequest(url, {
        dispatcher,
        method: "POST",
        headersTimeout: resolved.headersTimeoutMs,
        bodyTimeout: resolved.idleTimeoutMs,
        signal: options.signal ?? null,
        headers: {
          "content-type": "application/json",
          accept:
            isStreaming && format.framing === "sse" ? "text/event-stream" : "application/json",
          ...format.headers(resolved.apiKey),
          ...(options.idempotencyKey && { "idempotency-key": options.idempotencyKey }),
          ...resolved.headers,
        },
        body: JSON.stringify(format.body(request, isStreaming)),
      });
    } catch (error) {
      throw transportError(format.name, error, options.signal);
    }
  }

  async function readWhole(body: Dispatcher.ResponseData["body"]): Promise<Completion> {
    const text = await readBounded(body, resolved.maxAnswerBytes);
    const completion = format.readAnswer(parseJson(format.name, text));
    if (completion) return completion;
    throw providerFailed(format.name, "answered with JSON of another shape than documented");
  }

  async function readStream(
    body: Dispatcher.ResponseData["body"],
    request: CompletionRequest,
    onText: (text: string) => void,
  ): Promise<Completion> {
    const reader = format.createReader(request);
    for await (const data of streamEvents(body, format.framing, resolved.maxAnswerBytes)) {
      const { text, error } = reader.take(parseJson(format.name, data));
      if (error)
        throw unavailable(format.name, `ended its stream with ${error.type}: ${error.message}`);
      if (text) onText(text);
    }
    const completion = reader.end();
    if (completion) return completion;
    throw unavailable(format.name, "ended its stream before the answer was complete");
  }
}

function statusError(
  name: string,
  statusCode: number,
  headers: Record<string, string | string[] | undefined>,
  text: string,
): Error {
  const excerpt = text.slice(0, 200).replaceAll(/\s+/g, " ");
  const waitMs = retryAfterMs(headers, Date.now());
  if (statusCode === 429 || ((statusCode === 503 || statusCode === 529) && waitMs !== undefined)) {
    return rateLimited(name, waitMs ?? 5_000, statusCode);
  }
  if (statusCode === 408 || statusCode >= 500) {
    return unavailable(name, `answered ${statusCode}: ${excerpt}`);
  }
  return providerFailed(name, `answered ${statusCode}: ${excerpt}`);
}

function transportError(name: string, error: unknown, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted) return signal.reason;
  if (error instanceof Error && "code" in error && String(error.code).startsWith("QUEUE_"))
    return error;
  return unavailable(name, error instanceof Error ? error.message : String(error), error);
}

function parseJson(name: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw providerFailed(name, `answered with broken JSON of ${text.length} characters`, error);
  }
}
