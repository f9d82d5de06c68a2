import { MillraceError } from "@millrace/core";
import {
  anthropicAdapter,
  createProviders,
  createTokenLimits,
  createWebhookAdapter,
  type Task,
  type TaskContext,
} from "@millrace/queue";
import { type Role, ROLES } from "./plans.ts";
import type { AgentInput, Platform, PlatformConfig } from "./platform.ts";
import type { Records } from "./records.ts";

type Agent = (task: Task<AgentInput>, context: TaskContext) => Promise<unknown>;

/** What the seven agents do; each run is stored with the time it took. */
export function createAgents(platform: Platform, config: PlatformConfig, records: Records) {
  const { tenants, redis, events, queues } = platform;
  const limits = createTokenLimits({
    connection: redis,
    tenants,
    accounts: { main: { requestsPerMinute: 6_000, outputTokensPerMinute: 1_000_000 } },
    plans: { free: { outputTokensPerMinute: 50_000 } },
  });
  const providers = createProviders(
    [
      {
        name: "anthropic",
        adapter: anthropicAdapter({ baseUrl: config.llmUrl, apiKey: "stand-in" }),
        account: "main",
      },
    ],
    { limits },
  );
  // The stand-in runtime is on loopback; tenants' own runtimes must be public.
  const webhook = createWebhookAdapter({ secret: config.secret, allowedHosts: ["127.0.0.1"] });

  const write: Agent = async (task, { signal }) => {
    const answer = await providers.complete({
      tenantId: task.tenantId,
      model: task.allocation.modelOverride ?? "stand-in-1",
      kind: task.role,
      system: `You are the ${task.role}.`,
      messages: [{ role: "user", content: task.data.brief }],
      maxOutputTokens: 200,
      signal,
      onText: (text) => {
        void events.publish(task.tenantId, { type: "text", data: { taskId: task.taskId, text } });
      },
    });
    await records.saveCall(task, answer);
    return { words: answer.text.trim().split(" ").length };
  };

  const analyse: Agent = (task, { awaitCallback, signal }) =>
    awaitCallback((registration) =>
      webhook.dispatch(`${config.llmUrl}/runtime`, task.data, { registration, signal }),
    );

  const plan: Agent = async (task, { children, logger }) => {
    const skipped: string[] = [];
    for (const role of task.data.roles ?? []) {
      const queue = queues.get(role as Role);
      try {
        if (queue)
          await children.add(queue, { key: role, data: task.data, labels: { ...task.labels } });
      } catch (error) {
        if (!MillraceError.is(error) || error.code !== "QUEUE_TENANT_DISABLED") throw error;
        skipped.push(role);
      }
    }
    logger.info({ skipped }, "campaign planned");
    const { completed, failed } = await children.results();
    const report = { completed: Object.keys(completed), failed: Object.keys(failed), skipped };
    await events.publish(task.tenantId, {
      type: "campaign:done",
      data: { campaignId: task.data.campaignId, ...report },
    });
    return report;
  };

  const agents: Record<Role, Agent> = {
    "activity-planner": plan,
    copywriter: write,
    "seo-specialist": write,
    "social-media-manager": write,
    "paid-ads-manager": write,
    "data-analyst": analyse,
    "content-researcher": write,
  };

  const recorded =
    (agent: Agent): Agent =>
    async (task, context) => {
      const startedAt = Date.now();
      const result = await agent(task, context);
      await records.saveRun(task, startedAt, result);
      return result;
    };

  return {
    limits,
    handlers: new Map(ROLES.map((role) => [role, recorded(agents[role])])),
    close: () => Promise.all([providers.close(), webhook.close()]),
  };
}
