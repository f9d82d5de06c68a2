import * as z from "zod";
import {
  httpAdapter,
  type HttpAdapterOptions,
  type HttpFormat,
  type StreamReader,
} from "./http-adapter.ts";
import type { CompletionRequest, ProviderAdapter } from "./provider.ts";

/** Anthropic's Messages API, version 2023-06-01 (docs.anthropic.com, "Messages" and "Streaming"). */
export function anthropicAdapter(options: HttpAdapterOptions): ProviderAdapter {
  return httpAdapter(options, anthropicMessages);
}

const answerSchema = z.looseObject({
  model: z.string(),
  content: z.array(z.looseObject({ type: z.string(), text: z.string().optional() })),
  stop_reason: z.string().nullish(),
  usage: z.looseObject({ input_tokens: z.number(), output_tokens: z.number() }),
});

const pieceSchema = z.looseObject({
  type: z.string(),
  message: z
    .looseObject({ model: z.string(), usage: z.looseObject({ input_tokens: z.number() }) })
    .optional(),
  delta: z
    .looseObject({ text: z.string().optional(), stop_reason: z.string().nullish() })
    .optional(),
  usage: z.looseObject({ output_tokens: z.number() }).optional(),
  error: z.looseObject({ type: z.string(), message: z.string() }).optional(),
});

const anthropicMessages: HttpFormat = {
  name: "anthropic",
  path: "/v1/messages",
  framing: "sse",
  headers: (apiKey) => ({
    "anthropic-version": "2023-06-01",
    ...(apiKey !== undefined && { "x-api-key": apiKey }),
  }),
  body: ({ model, system, messages, maxOutputTokens, temperature }, isStreaming) => ({
    model,
    max_tokens: maxOutputTokens,
    messages,
    ...(system !== undefined && { system }),
    ...(temperature !== undefined && { temperature }),
    ...(isStreaming && { stream: true }),
  }),
  readAnswer(answer) {
    const { data } = answerSchema.safeParse(answer);
    if (!data) return undefined;
    return {
      text: data.content.map((block) => (block.type === "text" ? (block.text ?? "") : "")).join(""),
      model: data.model,
      inputTokens: data.usage.input_tokens,
      outputTokens: data.usage.output_tokens,
      stopReason: data.stop_reason ?? "",
    };
  },
  createReader: (request) => createReader(request),
};

function createReader({ model }: CompletionRequest): StreamReader {
  const completion = { text: "", model, inputTokens: 0, outputTokens: 0, stopReason: "" };
  let isOver = false;
  return {
    take(piece) {
      const { data } = pieceSchema.safeParse(piece);
      if (!data) return {};
      if (data.error) return { error: data.error };
      if (data.message) {
        completion.model = data.message.model;
        completion.inputTokens = data.message.usage.input_tokens;
      }
      if (data.usage) completion.outputTokens = data.usage.output_tokens;
      if (data.delta?.stop_reason) completion.stopReason = data.delta.stop_reason;
      if (data.type === "message_stop") isOver = true;
      const text = data.type === "content_block_delta" ? (data.delta?.text ?? "") : "";
      completion.text += text;
      return { text };
    },
    end: () => (isOver ? completion : undefined),
  };
}
