import type { ProviderAnswer, Task } from "@millrace/queue";
import { createIngestClient, type IngestClient } from "@millrace/ingest";
import type { AgentInput } from "./platform.ts";

/** What agents leave behind; it is on disk before a task counts as done. */
export class Records {
  readonly client: IngestClient;

  constructor(options: { port: number; token: string }) {
    this.client = createIngestClient(options);
  }

  async saveRun(task: Task<AgentInput>, startedAt: number, result: unknown): Promise<void> {
    await this.#save([
      {
        t: "task-run",
        ...fields(task),
        started_at: startedAt / 1_000,
        fence: task.fence,
        role: task.role,
        campaign_id: task.data.campaignId,
        result,
      },
    ]);
  }

  async saveCall(task: Task<AgentInput>, answer: ProviderAnswer): Promise<void> {
    const { provider, model, inputTokens, outputTokens, text } = answer;
    await this.#save([
      {
        t: "llm-call",
        ...fields(task),
        provider,
        model,
        input_tokens: inputTokens,
        output_tokens: outputTokens,
      },
      { t: "streamed-output", ...fields(task), text },
      { t: "raw-output", ...fields(task), answer },
    ]);
  }

  async #save(records: readonly object[]): Promise<void> {
    if (this.client.send(records) && (await this.client.flush({ timeoutMs: 10_000 }))) return;
    throw new Error("the records of the task were not taken: it will be run again");
  }
}

function fields({ taskId, tenantId }: Task<AgentInput>) {
  return { v: 1, timestamp: Date.now() / 1_000, task_id: taskId, tenant_id: tenantId };
}
