import { expect, test } from "vitest";
import { LogThrottle } from "../src/log-throttle.ts";
import { createMemoryLogger, waitFor } from "../src/testing.ts";

test("one line per key and interval, the rest is counted", async () => {
  const logger = createMemoryLogger();
  const throttle = new LogThrottle(logger, 50);
  for (let count = 0; count < 10; count++) throttle.warn("a", () => ({ count }), "bad frame");
  throttle.warn("b", () => ({}), "bad token");
  expect(logger.lines.map(({ message }) => message)).toEqual(["bad frame", "bad token"]);
  expect(logger.lines[0]?.fields).toEqual({ count: 0 });
  await waitFor(() => {
    throttle.warn("a", () => ({ count: 10 }), "bad frame");
    return logger.lines.length === 3;
  });
  expect(logger.lines[2]?.fields["suppressed"]).toBeGreaterThanOrEqual(9);
});

test("the fields of a suppressed line are not even computed", () => {
  const throttle = new LogThrottle(createMemoryLogger());
  let computed = 0;
  for (let count = 0; count < 5; count++) throttle.warn("a", () => ({ computed: ++computed }), "x");
  expect(computed).toBe(1);
});
