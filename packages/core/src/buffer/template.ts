import Sqlite, { type Database } from "better-sqlite3";
import { applyLayout } from "./database.ts";
import { ensureSchema } from "./schema.ts";

/**
 * Gives `read` an empty buffer in memory. Every file is made by the same statements, so what it says
 * of its tables, and where they are, holds for all.
 */
export function readTemplate<Result>(read: (template: Database) => Result): Result {
  const template = new Sqlite(":memory:");
  try {
    applyLayout(template);
    ensureSchema(template);
    return read(template);
  } finally {
    template.close();
  }
}
