import { Pool } from "pg";

/** Results and calls in PostgreSQL: the big tables by month, with BRIN indexes on their time. */
export class Store {
  readonly #pool: Pool;

  constructor(url: string) {
    this.#pool = new Pool({ connectionString: url, max: 4 });
  }

  async migrate(now = new Date()): Promise<void> {
    await this.#pool.query(`
      CREATE TABLE IF NOT EXISTS task_runs (
        task_id text NOT NULL, fence int NOT NULL, tenant_id text NOT NULL, role text NOT NULL,
        campaign_id text NOT NULL, started_at timestamptz NOT NULL, ended_at timestamptz NOT NULL,
        result jsonb NOT NULL, created_at timestamptz NOT NULL DEFAULT now()
      ) PARTITION BY RANGE (created_at);
      CREATE TABLE IF NOT EXISTS llm_calls (
        task_id text NOT NULL, tenant_id text NOT NULL, provider text NOT NULL, model text NOT NULL,
        input_tokens int NOT NULL, output_tokens int NOT NULL, created_at timestamptz NOT NULL DEFAULT now()
      ) PARTITION BY RANGE (created_at);
      CREATE INDEX IF NOT EXISTS task_runs_time ON task_runs USING brin (created_at);
      CREATE INDEX IF NOT EXISTS llm_calls_time ON llm_calls USING brin (created_at);
      CREATE TABLE IF NOT EXISTS streamed_outputs (
        task_id text PRIMARY KEY, text text NOT NULL, created_at timestamptz NOT NULL DEFAULT now());
      CREATE TABLE IF NOT EXISTS raw_outputs (
        task_id text PRIMARY KEY, answer jsonb NOT NULL, created_at timestamptz NOT NULL DEFAULT now());
    `);
    for (const table of ["task_runs", "llm_calls"]) {
      for (const ahead of [0, 1]) {
        const from = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + ahead));
        const to = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + ahead + 1));
        const name = `${table}_${from.toISOString().slice(0, 7).replace("-", "_")}`;
        await this.#pool.query(
          `CREATE TABLE IF NOT EXISTS ${name} PARTITION OF ${table}
           FOR VALUES FROM ('${from.toISOString()}') TO ('${to.toISOString()}')`,
        );
      }
    }
  }

  /** Streams are kept a day, raw outputs 90. */
  async purge(): Promise<void> {
    await this.#pool.query(
      "DELETE FROM streamed_outputs WHERE created_at < now() - interval '24 hours'",
    );
    await this.#pool.query("DELETE FROM raw_outputs WHERE created_at < now() - interval '90 days'");
  }

  async saveRun(run: {
    taskId: string;
    fence: number;
    tenantId: string;
    role: string;
    campaignId: string;
    startedAt: Date;
    result: unknown;
  }): Promise<void> {
    await this.#pool.query(
      `INSERT INTO task_runs (task_id, fence, tenant_id, role, campaign_id, started_at, ended_at, result)
       VALUES ($1, $2, $3, $4, $5, $6, now(), $7)`,
      [
        run.taskId,
        run.fence,
        run.tenantId,
        run.role,
        run.campaignId,
        run.startedAt,
        JSON.stringify(run.result),
      ],
    );
  }

  async saveCall(call: {
    taskId: string;
    tenantId: string;
    provider: string;
    model: string;
    inputTokens: number;
    outputTokens: number;
    text: string;
  }): Promise<void> {
    await this.#pool.query(
      `INSERT INTO llm_calls (task_id, tenant_id, provider, model, input_tokens, output_tokens)
       VALUES ($1, $2, $3, $4, $5, $6)`,
      [call.taskId, call.tenantId, call.provider, call.model, call.inputTokens, call.outputTokens],
    );
    await this.#pool.query(
      "INSERT INTO streamed_outputs (task_id, text) VALUES ($1, $2) ON CONFLICT (task_id) DO UPDATE SET text = $2",
      [call.taskId, call.text],
    );
    await this.#pool.query(
      "INSERT INTO raw_outputs (task_id, answer) VALUES ($1, $2) ON CONFLICT (task_id) DO UPDATE SET answer = $2",
      [call.taskId, JSON.stringify(call)],
    );
  }

  async rows<Row extends object>(sql: string, values: unknown[] = []): Promise<Row[]> {
    return (await this.#pool.query<Row>(sql, values)).rows;
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }
}
