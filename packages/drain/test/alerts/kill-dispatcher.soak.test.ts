import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { waitFor } from "@millrace/core/testing";
import { webhookChannel } from "@millrace/drain/alerts";
import { startPgBouncer } from "@millrace/services";
import { expect, it, onTestFinished } from "vitest";
import { emptyDatabase } from "../fixtures/empty-database.ts";
import { startFaultyProxy } from "../fixtures/faulty-proxy.ts";
import { runPool } from "../fixtures/running-pool.ts";
import { connection } from "../partitions/maintained-table.ts";
import { alerts, exception, issueSchema } from "./issues.ts";
import { receiver, status } from "./receiver.ts";
import { alertedDatabase, deliveries, runDispatcher } from "./running-dispatcher.ts";

const SECRET = "a secret that both sides know";
const PROGRAM = fileURLToPath(new URL("../fixtures/dispatching.ts", import.meta.url));

it("a dispatcher killed between sending and marking has its message repeated, with the same id, by another behind a pooler", async () => {
  const database = await alertedDatabase(["a"]);
  const hook = await receiver();
  const locker = await connection(database.url);
  hook.answer = (response) => {
    // Sent and taken, but the mark has to wait.
    void locker
      .query("BEGIN; LOCK TABLE millrace_alert_deliveries IN SHARE MODE")
      .then(() => status(200)(response));
  };
  const child = spawn(
    process.execPath,
    ["--conditions=@millrace/source", PROGRAM, database.url, hook.url, SECRET],
    { stdio: "inherit" },
  );
  onTestFinished(() => void child.kill("SIGKILL"));
  await waitFor(async () => {
    const waiting = await database.query(
      "SELECT FROM pg_stat_activity WHERE application_name = 'dispatching' AND wait_event_type = 'Lock' AND datname = current_database()",
    );
    return waiting.length === 1;
  });
  child.kill("SIGKILL");
  await once(child, "exit");
  // The server finds out by itself only when it has something to send.
  await database.query(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'dispatching' AND datname = current_database()",
  );
  await locker.query("COMMIT");
  expect(await deliveries(database)).toEqual({ "webhook open": 1 });

  hook.answer = status(200);
  const pooler = await startPgBouncer({ upstream: database.url, poolSize: 1 });
  onTestFinished(() => pooler.remove());
  const { dispatcher } = await runDispatcher(
    pooler.url(),
    [webhookChannel({ url: hook.url, secret: SECRET })],
    { timeoutMs: 1_000, leaseMs: 2_000 },
  );
  await waitFor(() => dispatcher.status().channels["webhook"]?.sent === 1);
  const ids = hook.requests.map(({ headers }) => headers["webhook-id"]);
  expect(ids).toHaveLength(2);
  expect(new Set(ids).size).toBe(1);
  await dispatcher.close();
});

it("a batch that is tried again after a COMMIT whose answer was lost, or never sent, alerts once", async () => {
  const database = await emptyDatabase();
  const proxy = await startFaultyProxy(database.url);
  const { append, drained, pool } = await runPool({ url: proxy.url }, { schema: issueSchema() });
  const faults = ["cut-before", "cut-after-answer"] as const;
  for (const [index, fault] of faults.entries()) {
    let isDone = false;
    proxy.rule = ({ text }) => {
      if (text !== "COMMIT" || isDone) return "pass";
      isDone = true;
      return fault;
    };
    await append([exception(`issue-${index}`)]);
    await drained();
    expect(isDone).toBe(true);
  }
  expect(pool.status().batchesFoundLanded).toBe(1);
  expect(await alerts(database)).toEqual(["issue.new issue-0", "issue.new issue-1"]);
});
