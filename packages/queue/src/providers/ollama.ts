import * as z from "zod";
import { bearer } from "./bearer.ts";
import {
  httpAdapter,
  type HttpAdapterOptions,
  type HttpFormat,
  type StreamReader,
} from "./http-adapter.ts";
import type { Completion, CompletionRequest, ProviderAdapter } from "./provider.ts";

/** Ollama's chat API (docs/api.md of the project): the overflow on machines of one's own. */
export function ollamaAdapter(options: HttpAdapterOptions): ProviderAdapter {
  return httpAdapter(options, ollamaChat);
}

const pieceSchema = z.looseObject({
  model: z.string().optional(),
  message: z.looseObject({ content: z.string() }).optional(),
  done: z.boolean().optional(),
  done_reason: z.string().optional(),
  prompt_eval_count: z.number().optional(),
  eval_count: z.number().optional(),
  error: z.string().optional(),
});

const ollamaChat: HttpFormat = {
  name: "ollama",
  path: "/api/chat",
  framing: "ndjson",
  headers: bearer,
  body: ({ model, system, messages, maxOutputTokens, temperature }, isStreaming) => ({
    model,
    messages: system === undefined ? messages : [{ role: "system", content: system }, ...messages],
    stream: isStreaming,
    options: { num_predict: maxOutputTokens, ...(temperature !== undefined && { temperature }) },
  }),
  readAnswer(answer) {
    const { data } = pieceSchema.safeParse(answer);
    if (!data?.done || !data.message) return undefined;
    return toCompletion(data, data.message.content, "");
  },
  createReader,
};

function createReader({ model }: CompletionRequest): StreamReader {
  let text = "";
  let completion: Completion | undefined;
  return {
    take(piece) {
      const { data } = pieceSchema.safeParse(piece);
      if (!data) return {};
      if (data.error !== undefined) return { error: { type: "error", message: data.error } };
      const more = data.message?.content ?? "";
      text += more;
      if (data.done) completion = toCompletion(data, text, model);
      return { text: more };
    },
    end: () => completion,
  };
}

function toCompletion(data: z.output<typeof pieceSchema>, text: string, model: string): Completion {
  return {
    text,
    model: data.model ?? model,
    // A prompt that is in the server's cache is not counted.
    inputTokens: data.prompt_eval_count ?? 0,
    outputTokens: data.eval_count ?? 0,
    stopReason: data.done_reason ?? "stop",
  };
}
