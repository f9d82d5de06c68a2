import { setTimeout as delay } from "node:timers/promises";
import { Client } from "pg";

const POLL_MS = 10;
const DEADLINE_MS = 30_000;

/**
 * Holds every worker of a drain pool back between connecting and its first claim, so that neither
 * the start of threads nor half the work falls outside of what is timed.
 *
 * A worker looks into `millrace_migrations` first; the gate is a lock on it.
 */
export interface StartGate {
  /** Resolves when so many workers stand before it. */
  waiting(workers: number): Promise<void>;
  open(): Promise<void>;
}

export async function closeStartGate(databaseUrl: string): Promise<StartGate> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query("BEGIN; LOCK TABLE millrace_migrations IN ACCESS EXCLUSIVE MODE");
  return {
    async waiting(workers) {
      const deadline = performance.now() + DEADLINE_MS;
      for (;;) {
        const { rows } = await client.query<{ sessions: string }>(
          "SELECT count(DISTINCT pid) AS sessions FROM pg_locks WHERE NOT granted",
        );
        const sessions = Number(rows[0]?.sessions);
        if (sessions >= workers) return;
        if (performance.now() > deadline) {
          throw new Error(`${sessions} of ${workers} workers came to the start in 30 s`);
        }
        await delay(POLL_MS);
      }
    },
    async open() {
      await client.query("COMMIT");
      await client.end();
    },
  };
}
