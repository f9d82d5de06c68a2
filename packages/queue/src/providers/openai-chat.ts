import * as z from "zod";
import { estimateInputTokens, estimateTokens } from "../limits/usage-estimator.ts";
import { bearer } from "./bearer.ts";
import {
  httpAdapter,
  type HttpAdapterOptions,
  type HttpFormat,
  type StreamReader,
} from "./http-adapter.ts";
import type { CompletionRequest, ProviderAdapter } from "./provider.ts";

/** OpenAI's Chat Completions API, which many other servers speak, too. */
export function openaiChatAdapter(options: HttpAdapterOptions): ProviderAdapter {
  return httpAdapter(options, openaiChat);
}

const usageSchema = z.looseObject({ prompt_tokens: z.number(), completion_tokens: z.number() });

const answerSchema = z.looseObject({
  model: z.string(),
  choices: z
    .array(
      z.looseObject({
        message: z.looseObject({ content: z.string().nullish() }),
        finish_reason: z.string().nullish(),
      }),
    )
    .min(1),
  usage: usageSchema,
});

const pieceSchema = z.looseObject({
  model: z.string().optional(),
  choices: z
    .array(
      z.looseObject({
        delta: z.looseObject({ content: z.string().nullish() }).optional(),
        finish_reason: z.string().nullish(),
      }),
    )
    .optional(),
  usage: usageSchema.nullish(),
  error: z.looseObject({ type: z.string().nullish(), message: z.string() }).optional(),
});

const openaiChat: HttpFormat = {
  name: "openai-chat",
  path: "/v1/chat/completions",
  framing: "sse",
  headers: bearer,
  body: ({ model, system, messages, maxOutputTokens, temperature }, isStreaming) => ({
    model,
    messages: system === undefined ? messages : [{ role: "system", content: system }, ...messages],
    max_completion_tokens: maxOutputTokens,
    ...(temperature !== undefined && { temperature }),
    // Without the option a streamed answer does not say what it used.
    ...(isStreaming && { stream: true, stream_options: { include_usage: true } }),
  }),
  readAnswer(answer) {
    const { data } = answerSchema.safeParse(answer);
    const choice = data?.choices[0];
    if (!data || !choice) return undefined;
    return {
      text: choice.message.content ?? "",
      model: data.model,
      inputTokens: data.usage.prompt_tokens,
      outputTokens: data.usage.completion_tokens,
      stopReason: choice.finish_reason ?? "",
    };
  },
  createReader,
};

function createReader(request: CompletionRequest): StreamReader {
  const { model } = request;
  const completion = { text: "", model, inputTokens: 0, outputTokens: 0, stopReason: "" };
  let isCounted = false;
  return {
    take(piece) {
      const { data } = pieceSchema.safeParse(piece);
      if (!data) return {};
      if (data.error)
        return { error: { type: data.error.type ?? "error", message: data.error.message } };
      if (data.model) completion.model = data.model;
      if (data.usage) {
        isCounted = true;
        completion.inputTokens = data.usage.prompt_tokens;
        completion.outputTokens = data.usage.completion_tokens;
      }
      const [choice] = data.choices ?? [];
      if (choice?.finish_reason) completion.stopReason = choice.finish_reason;
      const text = choice?.delta?.content ?? "";
      completion.text += text;
      return { text };
    },
    end() {
      if (completion.stopReason === "") return undefined;
      if (isCounted) return completion;
      // Servers that know no `stream_options` do not say: as nothing it would escape every limit.
      return {
        ...completion,
        inputTokens: estimateInputTokens(request),
        outputTokens: estimateTokens(completion.text),
      };
    },
  };
}
