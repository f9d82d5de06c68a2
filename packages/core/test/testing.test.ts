import { expect, test } from "vitest";
import { createMemoryLogger, waitFor } from "../src/testing.ts";

test("children of a memory logger share its lines and add their bindings", () => {
  const logger = createMemoryLogger();
  logger.info("plain");
  logger.child({ part: "a" }).child({ id: 1 }).warn({ rows: 2 }, "with fields");
  expect(logger.lines).toEqual([
    { level: "info", message: "plain", fields: {} },
    { level: "warn", message: "with fields", fields: { part: "a", id: 1, rows: 2 } },
  ]);
});

test("waiting goes on through errors and gives what the condition gave", async () => {
  let tries = 0;
  const result = await waitFor(
    () => {
      if (++tries < 3) throw new Error("not yet");
      return "done";
    },
    { intervalMs: 1 },
  );
  expect(result).toBe("done");
});

test("a condition that never holds ends in an error that shows the last state", async () => {
  const waiting = waitFor(() => Promise.reject(new Error("still down")), {
    timeoutMs: 20,
    intervalMs: 1,
    description: "the server",
  });
  await expect(waiting).rejects.toThrow(/the server did not hold within 20 ms; last: .*still down/);
});
