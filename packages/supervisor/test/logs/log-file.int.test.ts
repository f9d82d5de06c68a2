import { readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { createMemoryLogger, waitFor } from "@millrace/core/testing";
import { expect, onTestFinished, test } from "vitest";
import { LogFile } from "../../src/logs/log-file.ts";
import { startSupervisor } from "../fixtures/start-supervisor.ts";
import { temporaryFolder } from "../fixtures/temporary-folder.ts";

test("files together never take more than their limit", async () => {
  const path = temporaryFolder();
  const file = new LogFile(join(path, "app.log"), {
    maxBytes: 1_000,
    maxFiles: 3,
    maxQueuedBytes: 1e6,
  });
  for (let index = 0; index < 1_000; index++) file.write(`line ${index}`);
  await file.close();
  const names = readdirSync(path).toSorted();
  expect(names).toEqual(["app.log", "app.log.1", "app.log.2"]);
  for (const name of names) expect(statSync(join(path, name)).size).toBeLessThanOrEqual(1_000);
  expect(readFileSync(join(path, "app.log"), "utf8")).toContain("line 999\n");
});

test("at no moment files take more than their limit, whatever is written", async () => {
  const path = temporaryFolder();
  const limits = { maxBytes: 500, maxFiles: 3, maxQueuedBytes: 1e6 };
  const file = new LogFile(join(path, "app.log"), limits);
  let most = 0;
  // A file may be renamed between the listing and the look.
  const sizeOf = (name: string): number =>
    statSync(join(path, name), { throwIfNoEntry: false })?.size ?? 0;
  const measure = (): void => {
    const sum = readdirSync(path).reduce((total, name) => total + sizeOf(name), 0);
    most = Math.max(most, sum);
  };
  const watch = setInterval(measure, 1);
  onTestFinished(() => clearInterval(watch));
  for (let index = 0; index < 400; index++) {
    file.write("é漢x".repeat(1 + ((index * 7_919) % 300)));
    if (index % 40 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await file.close();
  measure();
  expect(most).toBeLessThanOrEqual(limits.maxBytes * limits.maxFiles);
  expect(file.droppedLines).toBe(0);
  for (const name of readdirSync(path)) {
    expect(readFileSync(join(path, name), "utf8")).toMatch(/^([é漢x]+\n)+$/);
  }
});

test("a file that is old enough is rotated by the next line, also one that was there before", async () => {
  const path = temporaryFolder();
  const limits = { maxBytes: 1e6, maxAgeMs: 20, maxFiles: 3, maxQueuedBytes: 1e6 };
  const old = join(path, "app.log");
  const first = new LogFile(old, limits);
  first.write("old");
  await first.close();
  const { birthtimeMs } = statSync(old);
  await waitFor(() => Date.now() - birthtimeMs > limits.maxAgeMs);
  const second = new LogFile(old, { ...limits, maxAgeMs: 60_000 });
  second.write("not old enough");
  await second.close();
  const third = new LogFile(old, limits);
  third.write("new");
  third.write("newer");
  await third.close();
  expect(readFileSync(`${old}.1`, "utf8")).toBe("old\nnot old enough\n");
  expect(readFileSync(old, "utf8")).toBe("new\nnewer\n");
});

test("what a disk cannot take in time is dropped and counted, not kept in memory", async () => {
  const file = new LogFile(join(temporaryFolder(), "app.log"), {
    maxBytes: 1e9,
    maxFiles: 1,
    maxQueuedBytes: 100,
  });
  for (let index = 0; index < 100; index++) file.write("x".repeat(49));
  expect(file.droppedLines).toBe(98);
  await file.close();
});

test("a folder that cannot be written costs lines, nothing else", async () => {
  const file = new LogFile("/etc/hostname/nowhere/app.log", {
    maxBytes: 1e9,
    maxFiles: 1,
    maxQueuedBytes: 1e6,
  });
  file.write("lost");
  await file.close();
  expect(file.droppedLines).toBe(1);
});

test("a log file that cannot be written is a warning, and the instance runs on", async () => {
  const logger = createMemoryLogger();
  const file = "/etc/hostname/nowhere/app.log";
  const supervisor = await startSupervisor({
    processes: { worker: { command: ["sh", "-c", "echo lost; sleep 1000"], logs: { file } } },
    logger,
  });
  await waitFor(() =>
    logger.lines.some(
      ({ level, message }) =>
        level === "warn" && message.startsWith(`lines are not written to ${file} (`),
    ),
  );
  expect(supervisor.process("worker").counts.ready).toBe(1);
});

test("a child's JSON lines reach the logger at their level, with their fields, redacted, at info too", async () => {
  const logger = createMemoryLogger();
  const say = (line: object): string => `echo '${JSON.stringify(line)}'`;
  const supervisor = await startSupervisor({
    logger,
    processes: {
      worker: {
        command: [
          "sh",
          "-c",
          `${say({ level: 30, msg: "up", user: "u1", token: "tok_123" })}; ${say({ level: 50, msg: "down" })}; echo plain; exec sleep 1000`,
        ],
        logs: { json: true, redact: [/tok_\w+/g] },
      },
    },
  });
  await expect.poll(() => supervisor.logs("worker").length).toBe(3);
  expect(supervisor.logs("worker")).toMatchObject([
    { level: "info", message: "up", fields: { user: "u1", token: "[redacted]" } },
    { level: "error", message: "down", fields: {} },
    { level: "info", message: "plain" },
  ]);
  const lines = logger.lines.filter(({ fields }) => fields["stream"] !== undefined);
  expect(lines.map(({ level, message }) => `${level} ${message}`)).toEqual([
    "info up",
    "error down",
    "info plain",
  ]);
  expect(JSON.stringify(logger.lines)).not.toContain("tok_123");
});

test("each instance writes its own file, secrets redacted, also what it says last", async () => {
  const path = temporaryFolder();
  const supervisor = await startSupervisor({
    processes: {
      worker: {
        command: [
          "sh",
          "-c",
          "echo password=hunter2; trap 'printf bye; exit 0' TERM; while :; do sleep 0.02; done",
        ],
        scale: 2,
        logs: { file: join(path, "${INSTANCE_ID}.log"), redact: [/password=\S+/g] },
      },
    },
  });
  await expect.poll(() => supervisor.logs("worker").length).toBe(2);
  await supervisor.close();
  expect(readdirSync(path).toSorted()).toEqual(["worker-1.log", "worker-2.log"]);
  expect(readFileSync(join(path, "worker-1.log"), "utf8")).toMatch(/^\[redacted\]\n[^]*bye\n$/);
});
