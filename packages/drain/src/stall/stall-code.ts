import { sqlStateOf } from "../write/sqlstate.ts";

/**
 * Why batches do not land, for alerts and runbooks; never renamed.
 *
 * - `postgres-unreachable`: no connection, or no answer on it.
 * - `postgres-busy`: no room for a connection, no memory or disk left, or the pooler says so.
 * - `postgres-refuses`: it answers with an error: rights, a missing table, a read-only server.
 * - `table-locked`: another session holds a lock, or a deadlock.
 * - `disk-trouble`: the disk or the lock of the buffer file.
 * - `worker-hung`: a worker thread's event loop does not turn.
 * - `no-worker`: no worker thread takes what is pending.
 */
export type DrainStallCode =
  | "postgres-unreachable"
  | "postgres-busy"
  | "postgres-refuses"
  | "table-locked"
  | "disk-trouble"
  | "worker-hung"
  | "no-worker";

/** 55P03 lock_timeout, 40P01 deadlock, 57014 statement_timeout, which a lock is behind as a rule. */
const LOCKED = new Set(["55P03", "40P01", "57014"]);

/** Whether fewer or shorter transactions would help. */
export function isOverload(code: DrainStallCode): boolean {
  return code === "table-locked" || code === "postgres-busy";
}

/** What an error of landing or connecting, or its cause, says. */
export function stallCodeOf(error: unknown): DrainStallCode {
  const code = sqlStateOf(error) ?? (error instanceof Error ? sqlStateOf(error.cause) : undefined);
  if (code === undefined) return "postgres-unreachable";
  if (LOCKED.has(code)) return "table-locked";
  // 08P01 is what PgBouncer says when its limits are reached.
  if (code.startsWith("53") || code === "08P01") return "postgres-busy";
  // 57P: shutting down, starting up.
  return code.startsWith("08") || code.startsWith("57")
    ? "postgres-unreachable"
    : "postgres-refuses";
}
