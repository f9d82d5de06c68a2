import { expect, test } from "vitest";
import { CloserStack } from "../src/closer-stack.ts";

test("what was opened last is closed first, once", async () => {
  const closed: string[] = [];
  const closers = new CloserStack();
  closers.push(() => closed.push("first"));
  closers.push(async () => {
    await Promise.resolve();
    closed.push("second");
  });
  await closers.close();
  await closers.close();
  expect(closed).toEqual(["second", "first"]);
});

test("a closer that throws does not keep the rest open, and its error is kept", async () => {
  let isClosed = false;
  const failure = new Error("stuck");
  const closers = new CloserStack();
  closers.push(() => (isClosed = true));
  closers.push(() => Promise.reject(failure));
  await expect(closers.close()).rejects.toMatchObject({ code: "CLOSE_FAILED", cause: failure });
  expect(isClosed).toBe(true);
});

test("several failures are all kept", async () => {
  const closers = new CloserStack();
  closers.push(() => Promise.reject(new Error("a")));
  closers.push(() => {
    throw new Error("b");
  });
  const error: unknown = await closers.close().catch((failure: unknown) => failure);
  expect(error).toMatchObject({ code: "CLOSE_FAILED", message: expect.stringContaining("2 part") });
  expect(((error as Error).cause as AggregateError).errors.map(String)).toEqual([
    "Error: b",
    "Error: a",
  ]);
});
