import { expect, test } from "vitest";
import { waitFor } from "../src/testing.ts";
import { spawnFixture } from "./fixtures/spawn-fixture.ts";

async function spawnReady(mode: string) {
  const fixture = spawnFixture("runs-components", mode);
  await waitFor(() => fixture.lines.includes("ready"), { description: mode });
  return fixture;
}

test.each(["SIGTERM", "SIGINT"] as const)(
  "%s closes the components in reverse order and the process exits 0",
  async (signal) => {
    const { child, ended, lines } = await spawnReady("clean");
    child.kill(signal);
    expect(await ended).toBe(0);
    expect(lines).toEqual([
      "start first",
      "start second",
      "ready",
      "close second",
      "close first",
      "after",
    ]);
  },
);

test("a failed start closes what had started and exits 1", async () => {
  const { ended, lines, errorText } = spawnFixture("runs-components", "start-fails");
  expect(await ended).toBe(1);
  expect(lines).toEqual(["start first", "start second", "close second", "close first"]);
  expect(errorText()).toContain("start failed: no port");
});

test("a component that fails while running stops the others and exits 1", async () => {
  const { ended, lines, errorText } = spawnFixture("runs-components", "fails-running");
  expect(await ended).toBe(1);
  expect(lines.slice(2)).toEqual(["ready", "close second", "close first"]);
  expect(errorText()).toContain("lost its disk");
});

test("a component that does not close cleanly makes the exit code 1, and the others still close", async () => {
  const { child, ended, lines, errorText } = await spawnReady("close-fails");
  child.kill("SIGTERM");
  expect(await ended).toBe(1);
  expect(lines).toContain("close first");
  expect(errorText()).toContain("flush failed");
});

test("a second signal ends the process while a component still drains", async () => {
  const { child, ended, lines } = await spawnReady("close-hangs");
  child.kill("SIGTERM");
  // The first one has to be handled before the second counts as another.
  await waitFor(() => {
    child.kill("SIGTERM");
    return child.exitCode !== null;
  });
  expect(await ended).toBe(1);
  expect(lines).not.toContain("close first");
});

test("a start that ignores the signal does not keep the process from stopping", async () => {
  const { child, ended, errorText } = await spawnReady("start-hangs");
  child.kill("SIGTERM");
  expect(await ended).toBe(1);
  expect(errorText()).toContain("CLOSE_TIMED_OUT");
});

test("a handle left open does not hang the process after a clean stop", async () => {
  const { child, ended, lines, errorText } = await spawnReady("leaves-handle");
  child.kill("SIGTERM");
  expect(await ended).toBe(0);
  expect(lines.at(-1)).toBe("after");
  expect(errorText()).toContain("something keeps the process");
  expect(errorText()).toContain("Timeout");
});

test("a component that is closed on purpose stops nothing", async () => {
  const { child, ended, lines } = await spawnReady("one-closes");
  await waitFor(() => lines.includes("close second"));
  expect(child.exitCode).toBeNull();
  child.kill("SIGTERM");
  expect(await ended).toBe(0);
});

test("when all components were closed on purpose the process ends with 0", async () => {
  const { ended, errorText } = spawnFixture("runs-components", "all-close");
  expect(await ended).toBe(0);
  expect(errorText()).toBe("");
});
