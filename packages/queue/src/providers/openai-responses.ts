import * as z from "zod";
import { bearer } from "./bearer.ts";
import {
  httpAdapter,
  type HttpAdapterOptions,
  type HttpFormat,
  type StreamReader,
} from "./http-adapter.ts";
import type { Completion, ProviderAdapter } from "./provider.ts";

/** OpenAI's Responses API (platform.openai.com, "Responses" and its streaming events). */
export function openaiResponsesAdapter(options: HttpAdapterOptions): ProviderAdapter {
  return httpAdapter(options, openaiResponses);
}

const answerSchema = z.looseObject({
  model: z.string(),
  status: z.string(),
  output: z.array(
    z.looseObject({
      type: z.string(),
      content: z.array(z.looseObject({ type: z.string(), text: z.string().optional() })).optional(),
    }),
  ),
  incomplete_details: z.looseObject({ reason: z.string() }).nullish(),
  usage: z.looseObject({ input_tokens: z.number(), output_tokens: z.number() }),
});

const pieceSchema = z.looseObject({
  type: z.string(),
  delta: z.unknown().optional(),
  response: z.unknown().optional(),
  code: z.string().nullish(),
  message: z.string().optional(),
});

const failureSchema = z.looseObject({
  error: z.looseObject({ code: z.string(), message: z.string() }),
});

const openaiResponses: HttpFormat = {
  name: "openai",
  path: "/v1/responses",
  framing: "sse",
  headers: bearer,
  body: ({ model, system, messages, maxOutputTokens, temperature }, isStreaming) => ({
    model,
    input: messages,
    max_output_tokens: maxOutputTokens,
    ...(system !== undefined && { instructions: system }),
    ...(temperature !== undefined && { temperature }),
    ...(isStreaming && { stream: true }),
  }),
  readAnswer,
  createReader,
};

function readAnswer(answer: unknown): Completion | undefined {
  const { data } = answerSchema.safeParse(answer);
  if (!data) return undefined;
  const parts = data.output.flatMap(({ content }) => content ?? []);
  return {
    text: parts.map(({ type, text }) => (type === "output_text" ? (text ?? "") : "")).join(""),
    model: data.model,
    inputTokens: data.usage.input_tokens,
    outputTokens: data.usage.output_tokens,
    stopReason: data.incomplete_details?.reason ?? data.status,
  };
}

function createReader(): StreamReader {
  let completion: Completion | undefined;
  return {
    take(piece) {
      const { data } = pieceSchema.safeParse(piece);
      if (!data) return {};
      if (data.type === "error") {
        return { error: { type: data.code ?? "error", message: data.message ?? "" } };
      }
      if (data.type === "response.failed") {
        const failure = failureSchema.safeParse(data.response).data?.error;
        return { error: { type: failure?.code ?? "failed", message: failure?.message ?? "" } };
      }
      if (data.type === "response.completed" || data.type === "response.incomplete") {
        completion = readAnswer(data.response);
      }
      if (data.type !== "response.output_text.delta") return {};
      return { text: typeof data.delta === "string" ? data.delta : "" };
    },
    end: () => completion,
  };
}
