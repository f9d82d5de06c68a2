import { silentLogger } from "@millrace/core";
import { createMemoryLogger, waitFor } from "@millrace/core/testing";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createTokenLimits, type TokenLimits } from "../../src/limits/token-limits.ts";
import { anthropicAdapter } from "../../src/providers/anthropic.ts";
import { ollamaAdapter } from "../../src/providers/ollama.ts";
import { openaiChatAdapter } from "../../src/providers/openai-chat.ts";
import { openaiResponsesAdapter } from "../../src/providers/openai-responses.ts";
import { createProviders } from "../../src/providers/providers.ts";
import type { ProviderAdapter } from "../../src/providers/provider.ts";
import { type Fixture, openFixture } from "../support/fixture.ts";
import { events, inPieces, json, playServer } from "../support/play-server.ts";

const REQUEST = {
  model: "m",
  system: "be brief",
  messages: [{ role: "user" as const, content: "hi" }],
  maxOutputTokens: 50,
};

const ANTHROPIC = {
  id: "msg_1",
  type: "message",
  role: "assistant",
  model: "m-1",
  content: [{ type: "text", text: "Grüße" }],
  stop_reason: "end_turn",
  usage: { input_tokens: 11, output_tokens: 3 },
};
const RESPONSE = {
  id: "resp_1",
  object: "response",
  status: "completed",
  model: "m-1",
  output: [
    { type: "reasoning", summary: [] },
    { type: "message", role: "assistant", content: [{ type: "output_text", text: "Grüße" }] },
  ],
  usage: { input_tokens: 11, output_tokens: 3, total_tokens: 14 },
};
const CHAT = {
  id: "chatcmpl-1",
  object: "chat.completion",
  model: "m-1",
  choices: [{ index: 0, message: { role: "assistant", content: "Grüße" }, finish_reason: "stop" }],
  usage: { prompt_tokens: 11, completion_tokens: 3, total_tokens: 14 },
};
const OLLAMA = {
  model: "m-1",
  message: { role: "assistant", content: "Grüße" },
  done: true,
  done_reason: "stop",
  prompt_eval_count: 11,
  eval_count: 3,
};

const FORMATS = [
  {
    name: "anthropic",
    adapter: anthropicAdapter,
    answer: ANTHROPIC,
    stopReason: "end_turn",
    path: "/v1/messages",
    auth: ["x-api-key", "secret"],
    body: { model: "m", max_tokens: 50, system: "be brief", messages: REQUEST.messages },
    streamed: events(
      {
        type: "message_start",
        message: { ...ANTHROPIC, content: [], usage: { input_tokens: 11, output_tokens: 1 } },
      },
      { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
      { type: "ping" },
      { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "Grü" } },
      { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "ße" } },
      { type: "content_block_stop", index: 0 },
      { type: "message_delta", delta: { stop_reason: "end_turn" }, usage: { output_tokens: 3 } },
      { type: "message_stop" },
    ),
    broken: events(
      { type: "message_start", message: { ...ANTHROPIC, content: [] } },
      { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "Grü" } },
      { type: "error", error: { type: "overloaded_error", message: "Overloaded" } },
    ),
  },
  {
    name: "openai responses",
    adapter: openaiResponsesAdapter,
    answer: RESPONSE,
    stopReason: "completed",
    path: "/v1/responses",
    auth: ["authorization", "Bearer secret"],
    body: { model: "m", max_output_tokens: 50, instructions: "be brief", input: REQUEST.messages },
    streamed: events(
      { type: "response.created", response: { ...RESPONSE, status: "in_progress", output: [] } },
      { type: "response.output_text.delta", delta: "Grü" },
      { type: "response.output_text.delta", delta: "ße" },
      { type: "response.completed", response: RESPONSE },
    ),
    broken: events(
      { type: "response.output_text.delta", delta: "Grü" },
      { type: "response.failed", response: { error: { code: "server_error", message: "sorry" } } },
    ),
  },
  {
    name: "openai chat",
    adapter: openaiChatAdapter,
    answer: CHAT,
    stopReason: "stop",
    path: "/v1/chat/completions",
    auth: ["authorization", "Bearer secret"],
    body: {
      model: "m",
      max_completion_tokens: 50,
      messages: [{ role: "system", content: "be brief" }, ...REQUEST.messages],
    },
    streamed: events(
      {
        model: "m-1",
        choices: [{ delta: { role: "assistant", content: "" }, finish_reason: null }],
        usage: null,
      },
      { model: "m-1", choices: [{ delta: { content: "Grü" }, finish_reason: null }] },
      { model: "m-1", choices: [{ delta: { content: "ße" }, finish_reason: null }] },
      { model: "m-1", choices: [{ delta: {}, finish_reason: "stop" }] },
      { model: "m-1", choices: [], usage: CHAT.usage },
      "[DONE]",
    ),
    broken: events(
      { model: "m-1", choices: [{ delta: { content: "Grü" }, finish_reason: null }] },
      { error: { type: "server_error", message: "sorry" } },
    ),
  },
  {
    name: "ollama",
    adapter: ollamaAdapter,
    answer: OLLAMA,
    stopReason: "stop",
    path: "/api/chat",
    auth: ["authorization", "Bearer secret"],
    body: {
      model: "m",
      stream: false,
      options: { num_predict: 50 },
      messages: [{ role: "system", content: "be brief" }, ...REQUEST.messages],
    },
    streamed: [
      { model: "m-1", message: { role: "assistant", content: "Grü" }, done: false },
      { model: "m-1", message: { role: "assistant", content: "ße" }, done: false },
      { ...OLLAMA, message: { role: "assistant", content: "" } },
    ]
      .map((line) => JSON.stringify(line))
      .join("\n"),
    broken: `${JSON.stringify({ message: { content: "Grü" }, done: false })}\n{"error":"out of memory"}\n`,
  },
];

let server: Awaited<ReturnType<typeof playServer>>;
beforeAll(async () => {
  server = await playServer();
});
afterAll(() => server.close());
beforeEach(() => server.seen.splice(0));

describe.each(FORMATS)("the $name adapter", (format) => {
  let adapter: ProviderAdapter;
  beforeAll(() => {
    adapter = format.adapter({
      baseUrl: server.url,
      apiKey: "secret",
      idleTimeoutMs: 300,
      headersTimeoutMs: 300,
    });
  });
  afterAll(() => adapter.close());
  const completion = {
    text: "Grüße",
    model: "m-1",
    inputTokens: 11,
    outputTokens: 3,
    stopReason: format.stopReason,
  };

  it("asks and answers in the documented shapes", async () => {
    server.play(json(format.answer));
    expect(await adapter.complete(REQUEST, { idempotencyKey: "key-1" })).toEqual(completion);
    const [seen] = server.seen;
    const [name = "", value] = format.auth;
    expect(seen).toMatchObject({ path: format.path, body: format.body });
    expect(seen?.headers[name]).toBe(value);
    expect(seen?.headers["idempotency-key"]).toBe("key-1");
  });

  it("puts a streamed answer together wherever its bytes were cut", async () => {
    server.play(inPieces(format.streamed));
    const texts: string[] = [];
    expect(await adapter.complete(REQUEST, { onText: (text) => texts.push(text) })).toEqual(
      completion,
    );
    expect(texts).toEqual(["Grü", "ße"]);
  });

  it("lets an error of the listener pass as it is, and ignores what only keeps a stream alive", async () => {
    const alive = format.name === "ollama" ? "\n\n" : ": alive\n\ndata:\n\n";
    server.play(inPieces(alive + format.streamed));
    const mine = new TypeError("my own");
    const onText = () => {
      throw mine;
    };
    await expect(adapter.complete(REQUEST, { onText })).rejects.toBe(mine);
    expect(await adapter.complete(REQUEST, { onText: () => {} })).toEqual(completion);
  });

  it.each([
    ["an error in mid-stream", inPieces(format.broken), "QUEUE_PROVIDER_UNAVAILABLE"],
    ["a stream that ends too soon", inPieces(format.streamed.slice(0, 150)), /UNAVAILABLE|FAILED/],
  ] as const)("reports %s", async (_, scene, code) => {
    server.play(scene);
    await expect(adapter.complete(REQUEST, { onText: () => {} })).rejects.toMatchObject({
      code: expect.stringMatching(code) as string,
    });
  });

  it("reports faults by what can be done about them", async () => {
    const fails = async (scene: Parameters<typeof server.play>[0]) => {
      server.play(scene);
      return adapter.complete(REQUEST, {}).then(
        () => undefined,
        (error: unknown) => error,
      );
    };
    expect(await fails(json({}, 429, { "retry-after": "20" }))).toMatchObject({
      code: "QUEUE_PROVIDER_RATE_LIMITED",
      details: { waitMs: 20_000 },
    });
    expect(await fails(json({}, 529))).toMatchObject({ code: "QUEUE_PROVIDER_UNAVAILABLE" });
    expect(await fails(json({}, 503, { "retry-after-ms": "12" }))).toMatchObject({
      code: "QUEUE_PROVIDER_RATE_LIMITED",
      details: { waitMs: 12 },
    });
    expect(await fails(json({ error: "bad" }, 400))).toMatchObject({
      code: "QUEUE_PROVIDER_FAILED",
    });
    expect(await fails(json({ surprise: true }))).toMatchObject({ code: "QUEUE_PROVIDER_FAILED" });
    expect(await fails((response) => response.end('{"broken'))).toMatchObject({
      code: "QUEUE_PROVIDER_FAILED",
    });
    expect(await fails((response) => void response.destroy())).toMatchObject({
      code: "QUEUE_PROVIDER_UNAVAILABLE",
    });
    const reset = (response: Parameters<Parameters<typeof server.play>[0]>[0]) => {
      response.writeHead(200, { "content-length": "1000" });
      response.write('{"a":', () => void response.socket?.resetAndDestroy());
    };
    expect(await fails(reset)).toMatchObject({ code: "QUEUE_PROVIDER_UNAVAILABLE" });
    const slow = (response: Parameters<Parameters<typeof server.play>[0]>[0]) => {
      response.writeHead(200);
      response.write("{");
    };
    expect(await fails(slow)).toMatchObject({ code: "QUEUE_PROVIDER_UNAVAILABLE" });
    const abort = AbortSignal.timeout(50);
    server.play(slow);
    await expect(adapter.complete(REQUEST, { signal: abort })).rejects.toMatchObject({
      name: "TimeoutError",
    });
  });
});

describe("a chain of providers", () => {
  let fixture: Fixture;
  let limits: TokenLimits;
  let second: Awaited<ReturnType<typeof playServer>>;

  beforeEach(async () => {
    fixture = await openFixture();
    second = await playServer();
    second.play(json(OLLAMA));
    limits = await startLimits(1_000_000);
  });
  afterEach(async () => {
    await limits.close();
    await second.close();
    await fixture.close();
  });

  const startLimits = async (outputTokensPerMinute: number) => {
    const started = createTokenLimits({
      connection: fixture.client,
      tenants: fixture.tenants,
      prefix: fixture.prefix,
      accounts: { main: { requestsPerMinute: 1_000, outputTokensPerMinute } },
    });
    await started.start();
    return started;
  };
  const build = (overrides: object = {}, limitedBy = limits) =>
    createProviders(
      [
        {
          name: "primary",
          adapter: anthropicAdapter({ baseUrl: server.url }),
          account: "main",
          fallbackTo: "secondary",
          maxTries: 2,
          breakAfter: 3,
          halfOpenAfterMs: 300,
          ...overrides,
        },
        { name: "secondary", adapter: ollamaAdapter({ baseUrl: second.url }) },
      ],
      { limits: limitedBy, maxInlineWaitMs: 0, logger: silentLogger },
    );
  const call = { ...REQUEST, tenantId: "acme" };

  it("retries what may pass, then falls back, opens the breaker and returns after one probe", async () => {
    const providers = build();
    server.play(json({}, 500));
    expect((await providers.complete(call)).provider).toBe("secondary");
    expect(server.seen).toHaveLength(2);
    await providers.complete(call);
    expect(server.seen).toHaveLength(3);
    for (let index = 0; index < 5; index++) await providers.complete(call);
    expect(server.seen).toHaveLength(3);
    server.play(json(ANTHROPIC));
    await waitFor(async () => (await providers.complete(call)).provider === "primary");
    expect(server.seen).toHaveLength(4);
    await providers.close();
  });

  it("begins no answer again with another provider once its text was shown", async () => {
    const providers = build();
    const broken = FORMATS.find(({ name }) => name === "anthropic")?.broken ?? "";
    server.play(inPieces(broken));
    const texts: string[] = [];
    await expect(
      providers.complete({ ...call, onText: (text) => texts.push(text) }),
    ).rejects.toMatchObject({ code: "QUEUE_PROVIDER_UNAVAILABLE", retryable: true });
    expect(texts.join("")).not.toBe("");
    expect([server.seen.length, second.seen.length]).toEqual([1, 0]);
    await expect(providers.complete({ ...call, provider: "nobody" })).rejects.toMatchObject({
      code: "QUEUE_PROVIDER_FAILED",
    });
    await providers.close();
  });

  it("stops all processes on a 429 until Retry-After, and asks the next provider meanwhile", async () => {
    const one = build();
    const other = build();
    server.play(json({}, 429, { "retry-after": "20" }));
    expect((await one.complete(call)).provider).toBe("secondary");
    for (let index = 0; index < 10; index++) {
      expect((await (index % 2 ? one : other).complete(call)).provider).toBe("secondary");
    }
    expect(server.seen).toHaveLength(1);
    await Promise.all([one.close(), other.close()]);
  });

  it("lowers the account's buckets to what the provider says is left, for every process, and never raises them", async () => {
    // Ten a second come back: a slow machine may take its time.
    const slow = await startLimits(600);
    const [one, other] = [build({}, slow), build({}, slow)];
    // The budget is ours; somebody else uses the account, too.
    const left = { "anthropic-ratelimit-output-tokens-remaining": "60" };
    server.play(json(ANTHROPIC, 200, left));
    expect((await one.complete(call)).provider).toBe("primary");
    server.play(json(ANTHROPIC, 200, { "anthropic-ratelimit-output-tokens-remaining": "9000000" }));
    // 60 are left: one more call of at most 50 fits, a second does not.
    expect((await other.complete({ ...call, kind: "new" })).provider).toBe("primary");
    expect((await one.complete({ ...call, maxOutputTokens: 400, kind: "big" })).provider).toBe(
      "secondary",
    );
    expect(server.seen).toHaveLength(2);
    await Promise.all([one.close(), other.close()]);
    await slow.close();
  });

  it("sends nothing into a 429 of 20 seconds but what was under way, puts all tasks off without an attempt, and keeps their order", async () => {
    const processes = [build({ fallbackTo: undefined }), build({ fallbackTo: undefined })];
    const order: unknown[] = [];
    let isLimited = true;
    server.play((response, request) =>
      isLimited
        ? json({}, 429, { "retry-after": "20" })(response, request)
        : json(ANTHROPIC)(response, request),
    );
    const workers = await Promise.all(
      processes.map((providers) =>
        fixture.worker({
          concurrency: 20,
          handler: async ({ data, attempt, tenantId }) => {
            const answer = await providers.complete({ ...call, tenantId });
            order.push([data["n"], attempt]);
            return answer;
          },
        }),
      ),
    );
    // One at a time, so that the order of a tenant's tasks can be seen.
    for (let tenant = 0; tenant < 20; tenant++) {
      await fixture.allow(`t${tenant}`, { maxConcurrent: 1 });
    }
    await fixture.queue.addBulk(
      Array.from({ length: 40 }, (_, n) => ({ tenantId: `t${n % 20}`, data: { n } })),
    );
    const deferred = () => workers.reduce((sum, worker) => sum + worker.status().deferred, 0);
    await waitFor(() => deferred() === 40);
    const inFirstRush = server.seen.length;
    // As many as were on their way when the first answer came: at most what runs at once.
    expect(inFirstRush).toBeLessThanOrEqual(40);
    await waitFor(async () => (await fixture.queue.status()).running === 0);
    for (const providers of processes) {
      await expect(providers.complete(call)).rejects.toMatchObject({
        code: "QUEUE_PROVIDER_RATE_LIMITED",
      });
    }
    expect(server.seen).toHaveLength(inFirstRush);
    // The wait is over: everything runs with its first attempt.
    isLimited = false;
    await fixture.client.del(`{${fixture.prefix}:limits:main}:block`);
    const due = await fixture.client.zrange(`${fixture.queue.keys.gate}defer`, "0", "-1");
    expect(due).toHaveLength(40);
    await fixture.client.zadd(`${fixture.queue.keys.gate}defer`, ...due.flatMap((id) => [1, id]));
    await waitFor(() => order.length === 40);
    expect(order.every((entry) => (entry as number[])[1] === 1)).toBe(true);
    for (let tenant = 0; tenant < 20; tenant++) {
      const mine = order
        .map((entry) => (entry as number[])[0] ?? 0)
        .filter((n) => n % 20 === tenant);
      expect(mine).toEqual(mine.toSorted((a, b) => a - b));
    }
    await Promise.all(processes.map((providers) => providers.close()));
  });

  it("sends at most one request a process after a 429 where a process runs one task at a time", async () => {
    const processes = [build({ fallbackTo: undefined }), build({ fallbackTo: undefined })];
    server.play(json({}, 429, { "retry-after": "20" }));
    const workers = await Promise.all(
      processes.map((providers) =>
        fixture.worker({
          concurrency: 1,
          handler: ({ tenantId }) => providers.complete({ ...call, tenantId }),
        }),
      ),
    );
    await fixture.queue.addBulk(
      Array.from({ length: 30 }, (_, n) => ({ tenantId: `t${n}`, data: { n } })),
    );
    await waitFor(() => workers.reduce((sum, worker) => sum + worker.status().deferred, 0) === 30);
    // The first, and what the other process had under way when its answer came.
    expect(server.seen.length).toBeLessThanOrEqual(2);
    await Promise.all(processes.map((providers) => providers.close()));
  });

  it("puts a task off without counting an attempt when everything is limited", async () => {
    const providers = build({ fallbackTo: undefined });
    const waits = ["0.4", "0.3"];
    server.play((response, request) => {
      const wait = waits.shift();
      return wait === undefined
        ? json(ANTHROPIC)(response, request)
        : json({}, 429, { "retry-after": wait })(response, request);
    });
    const attempts: number[] = [];
    await fixture.worker({
      handler: (task, { signal }) => {
        attempts.push(task.attempt);
        return providers.complete({ ...call, signal });
      },
    });
    const { taskId } = await fixture.queue.add({ tenantId: "acme", data: {} });
    const view = await waitFor(async () => {
      const found = await fixture.queue.get(taskId);
      return found?.state === "completed" ? found : undefined;
    });
    expect(view).toMatchObject({ attemptsMade: 1, result: { text: "Grüße", provider: "primary" } });
    expect(new Set(attempts)).toEqual(new Set([1]));
    expect(server.seen).toHaveLength(3);
    await providers.close();
  });

  it("gives an answer that was paid for although its use cannot be booked", async () => {
    const logger = createMemoryLogger();
    const providers = createProviders(
      [{ name: "only", account: "main", adapter: anthropicAdapter({ baseUrl: server.url }) }],
      { limits, logger },
    );
    server.play(async (response, request) => {
      await limits.close();
      await json(ANTHROPIC)(response, request);
    });
    expect(await providers.complete(call)).toMatchObject({ text: "Grüße", provider: "only" });
    expect(logger.lines.map(({ message }) => message)).toEqual([
      "use of a provider not booked, it counts as estimated",
    ]);
    await providers.close();
  });

  it("counts a streamed answer whose server does not say what it used", async () => {
    server.play(
      inPieces(
        events(
          { model: "m-1", choices: [{ delta: { content: "x".repeat(400) }, finish_reason: null }] },
          { model: "m-1", choices: [{ delta: {}, finish_reason: "stop" }] },
          "[DONE]",
        ),
      ),
    );
    const adapter = openaiChatAdapter({ baseUrl: server.url });
    const { inputTokens, outputTokens } = await adapter.complete(
      { ...REQUEST, system: "s".repeat(78) },
      { onText: () => {} },
    );
    expect({ inputTokens, outputTokens }).toEqual({ inputTokens: 20, outputTokens: 100 });
    await adapter.close();
  });

  it("lets the overflow answer only calls that allow it, and fails at once on what no retry mends", async () => {
    const providers = build({ fallbackTo: undefined, overflow: "secondary" });
    server.play(json({}, 429, { "retry-after": "20" }));
    await expect(providers.complete(call)).rejects.toMatchObject({
      code: "QUEUE_PROVIDER_RATE_LIMITED",
    });
    expect((await providers.complete({ ...call, allowOverflow: true })).provider).toBe("secondary");
    await providers.close();
    const strict = createProviders(
      [
        { name: "a", adapter: anthropicAdapter({ baseUrl: server.url }), fallbackTo: "b" },
        { name: "b", adapter: ollamaAdapter({ baseUrl: second.url }) },
      ],
      { logger: silentLogger },
    );
    server.play(json({ error: "no such model" }, 404));
    await expect(strict.complete(call)).rejects.toMatchObject({ code: "QUEUE_PROVIDER_FAILED" });
    await strict.close();
  });
});
