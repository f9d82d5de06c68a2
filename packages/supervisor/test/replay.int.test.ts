import { waitFor } from "@millrace/core/testing";
import { type JournalEntry, replayEvents } from "@millrace/supervisor";
import { expect, test } from "vitest";
import { startSupervisor } from "./fixtures/start-supervisor.ts";

test("events come as a stream that ends with the supervisor, and replayed they give what it was", async () => {
  const supervisor = await startSupervisor({
    processes: {
      worker: { command: ["sleep", "1000"], scale: 3, backoff: { minUptimeMs: 0 } },
      sick: { command: ["sh", "-c", "exit 3"], backoff: { baseMs: 1e6, capMs: 1e6 } },
      once: { command: ["true"], type: "oneshot" },
    },
  });
  const entries: JournalEntry[] = [];
  const reading = (async () => {
    for await (const entry of supervisor.events({ after: 0 })) entries.push(entry);
  })();
  await supervisor.whenReady("worker");
  await supervisor.rollout("worker", { env: { RELEASE: "2" } }).done;
  process.kill(Number(supervisor.process("worker").instances[1]?.pid), "SIGKILL");
  await waitFor(() => supervisor.process("worker").instances[1]?.restarts === 1);
  await supervisor.scale("worker", 2).done;
  await supervisor.whenReady("worker");
  await waitFor(() => supervisor.process("sick").counts.backoff === 1);
  await waitFor(() => supervisor.process("once").counts.stopped === 1);
  const truth = supervisor.status().processes.map(({ name, desired, instances }) => ({
    name,
    desired,
    instances: instances.map((one) => `${one.name} ${one.state} ${one.generation}`),
  }));
  const at = entries.length;
  const replayed = replayEvents(entries.slice(0, at)).map(({ name, desired, instances }) => ({
    name,
    desired,
    instances: instances.map((one) => `${one.name} ${one.state} ${one.generation}`).toSorted(),
  }));
  expect(replayed.toSorted((left, right) => (left.name < right.name ? -1 : 1))).toEqual(
    truth.toSorted((left, right) => (left.name < right.name ? -1 : 1)),
  );
  const exit = entries.find(({ event }) => event === "instance:exited");
  expect(replayEvents(entries.filter(({ id }) => id < (exit?.id ?? 0)))).not.toEqual(replayed);
  await supervisor.close();
  await reading;
  expect(entries.map(({ id }) => id)).toEqual(entries.map((_, index) => index + 1));
  const left = replayEvents(entries).flatMap(({ instances }) => instances);
  expect(left.map(({ name, reason }) => `${name} ${reason.split(":")[0]}`)).toEqual([
    "once-1 completed",
  ]);
});

test("a reader that breaks off leaves nothing behind, one with a signal ends with it", async () => {
  const supervisor = await startSupervisor({
    processes: { worker: { command: ["sleep", "1000"] } },
  });
  for await (const { event } of supervisor.events({ after: 0 })) {
    if (event === "instance:changed") break;
  }
  const abort = new AbortController();
  const stream = supervisor.events({ signal: abort.signal });
  const next = stream.next();
  abort.abort();
  expect(await next).toEqual({ done: true, value: undefined });
});
