import Sqlite from "better-sqlite3";
import pg from "pg";
import { DURABLE_STEPS, type DurableStep } from "./durable-steps.ts";

/**
 * Loaded into each thread of an agent by `--import`: kills the process with SIGKILL the first time
 * that it comes to the durable step that `MILLRACE_TEST_CRASH` names, as in `before commit`.
 */
const [moment, ...words] = (process.env["MILLRACE_TEST_CRASH"] ?? "").split(" ");
const step: DurableStep | undefined = DURABLE_STEPS[words.join(" ")];

if (step?.where === "sqlite") watchSqlite(step);
if (step?.where === "postgres") watchPostgres(step);

function die(): void {
  process.kill(process.pid, "SIGKILL");
  // The signal may take its time; this thread must not.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}

/** A step is over when its statement has run, or the transaction that it is part of. */
function watchSqlite({ pattern }: DurableStep): void {
  const database = new Sqlite(":memory:");
  const statements: { run: Run } = Object.getPrototypeOf(database.prepare("SELECT 1"));
  const run = statements.run;
  const inTransaction = new WeakSet<Sqlite.Database>();
  statements.run = function (...parameters) {
    const { database: of, source } = this;
    const isStep = pattern.test(source);
    const isLast = isStep ? !of.inTransaction : source === "COMMIT" && inTransaction.has(of);
    if (isLast && moment === "before") die();
    const result = run.apply(this, parameters);
    if (isLast && moment === "after") die();
    if (isStep && of.inTransaction) inTransaction.add(of);
    else if (!of.inTransaction) inTransaction.delete(of);
    return result;
  };
}

function watchPostgres({ pattern }: DurableStep): void {
  const clients: { query: Query } = pg.Client.prototype;
  const query = clients.query;
  clients.query = function (first, ...more) {
    const isStep = pattern.test(textOf(first));
    if (isStep && moment === "before") die();
    const result = query.call(this, first, ...more);
    if (isStep && moment === "after") {
      if (result instanceof Promise) return result.finally(die);
      (result as NodeJS.EventEmitter).once("finish", die);
    }
    return result;
  };
}

function textOf(query: unknown): string {
  const text: unknown = typeof query === "string" ? query : Reflect.get(Object(query), "text");
  return typeof text === "string" ? text : "";
}

type Run = (this: Sqlite.Statement, ...parameters: unknown[]) => Sqlite.RunResult;
type Query = (this: pg.Client, first: unknown, ...more: unknown[]) => unknown;
