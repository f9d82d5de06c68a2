import { cpus, loadavg, release, totalmem, type } from "node:os";
import Sqlite from "better-sqlite3";

/** What was measured on. */
export interface Machine {
  cpus: number;
  model: string;
  memoryBytes: number;
  system: string;
  node: string;
  sqlite: string;
  /** Null when the benchmark uses none. */
  postgres: string | null;
  /** Processes that wanted a CPU in the minute before; more than next to none spoils the numbers. */
  loadBefore: number;
}

export function describeMachine(): Machine {
  const database = new Sqlite(":memory:");
  const sqlite = String(database.prepare("SELECT sqlite_version()").pluck().get());
  database.close();
  const processors = cpus();
  return {
    cpus: processors.length,
    model: processors[0]?.model.trim() ?? "unknown",
    memoryBytes: totalmem(),
    system: `${type()} ${release()}`,
    node: process.versions.node,
    sqlite,
    postgres: null,
    loadBefore: loadavg()[0] ?? 0,
  };
}
