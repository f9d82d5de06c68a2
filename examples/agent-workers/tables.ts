import { defineTable, integer, jsonb, text, timestamptz } from "@millrace/drain";

const task = { task_id: text("task_id", { required: true }), tenant_id: text("tenant_id") };

/** One row for each run of a task that ended well. */
const taskRuns = defineTable("task_runs", {
  match: { t: "task-run" },
  columns: {
    ...task,
    started_at: timestamptz("started_at", { required: true }),
    ended_at: timestamptz("timestamp", { required: true }),
    fence: integer("fence"),
    role: text("role"),
    campaign_id: text("campaign_id"),
    result: jsonb("result"),
  },
  indexes: [{ columns: ["ended_at"], method: "brin" }, { columns: ["tenant_id", "role"] }],
  partitionBy: { column: "ended_at", interval: "month" },
});

const llmCalls = defineTable("llm_calls", {
  match: { t: "llm-call" },
  columns: {
    ...task,
    called_at: timestamptz("timestamp", { required: true }),
    provider: text("provider"),
    model: text("model"),
    input_tokens: integer("input_tokens"),
    output_tokens: integer("output_tokens"),
  },
  indexes: [{ columns: ["called_at"], method: "brin" }],
  partitionBy: { column: "called_at", interval: "month" },
});

/** What was streamed to browsers, for a day: for those that lost their connection. */
const streamedOutputs = defineTable("streamed_outputs", {
  match: { t: "streamed-output" },
  columns: {
    ...task,
    streamed_at: timestamptz("timestamp", { required: true }),
    text: text("text"),
  },
  indexes: [{ columns: ["streamed_at"], method: "brin" }],
  partitionBy: { column: "streamed_at", interval: "day", retain: "1 day" },
});

/** Answers as they came, for 90 days: for disputes. */
const rawOutputs = defineTable("raw_outputs", {
  match: { t: "raw-output" },
  columns: {
    ...task,
    answered_at: timestamptz("timestamp", { required: true }),
    answer: jsonb("answer"),
  },
  indexes: [{ columns: ["answered_at"], method: "brin" }],
  partitionBy: { column: "answered_at", interval: "day", retain: "90 days" },
});

/** What the drain makes, fills, splits by time and expires. */
export const TABLES = [taskRuns, llmCalls, streamedOutputs, rawOutputs];
