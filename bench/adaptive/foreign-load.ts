/**
 * Another application on the same PostgreSQL: queries at a steady rate, in a process of its own.
 *
 * @module
 */
import { performance } from "node:perf_hooks";
import { Pool } from "pg";
import { answerCalls } from "../process/answer-calls.ts";

const CONNECTIONS = 4;
const INTERVAL_MS = 10;
const ROWS = 200_000;
/** A page of orders of one customer, as an application would ask for, and a change of one. */
const QUERY = `SELECT status, count(*), sum(amount) FROM orders WHERE customer = $1 GROUP BY status`;
const CHANGE = `UPDATE orders SET amount = amount + 1 WHERE id = $1`;

let pool: Pool | undefined;
let timer: NodeJS.Timeout | undefined;
let latencies: number[] = [];

const calls = {
  async start({ databaseUrl }: { databaseUrl: string }): Promise<void> {
    pool = new Pool({ connectionString: databaseUrl, max: CONNECTIONS });
    await pool.query(`CREATE TABLE orders AS
      SELECT id, id % 500 AS customer, id % 5 AS status, 100 AS amount FROM generate_series(1, ${ROWS}) AS id`);
    await pool.query("CREATE UNIQUE INDEX ON orders (id)");
    await pool.query("CREATE INDEX ON orders (customer)");
    await pool.query("VACUUM ANALYZE orders");
    let sent = 0;
    timer = setInterval(() => void query(sent++), INTERVAL_MS);
  },
  /** @returns the 95th percentile since the last call, in milliseconds. */
  takeP95(): number {
    const sorted = latencies.toSorted((one, other) => one - other);
    latencies = [];
    return sorted[Math.floor(sorted.length * 0.95)] ?? Number.NaN;
  },
  async stop(): Promise<void> {
    clearInterval(timer);
    await pool?.end();
  },
};

/** Timed from when it should have been sent: one that waits for a connection is late, too. */
async function query(number: number): Promise<void> {
  const startedAt = performance.now();
  await pool?.query(QUERY, [number % 500]);
  if (number % 4 === 0) await pool?.query(CHANGE, [(number % ROWS) + 1]);
  latencies.push(performance.now() - startedAt);
}

export type ForeignLoadCalls = typeof calls;

answerCalls(calls);
