import { expect, it } from "vitest";
import type { WorkerMessage } from "../../src/messages.ts";
import { count, createCounters } from "../../src/pool/drain-counters.ts";

const landed: WorkerMessage = {
  type: "landed",
  wasLanded: false,
  payloads: 3,
  deadPayloads: 1,
  records: [
    ["nightwatch_logs", 4],
    ["nightwatch_requests", 2],
  ],
  deadLetters: [
    ["json_invalid", 1],
    ["sqlstate_23514", 2],
  ],
  seconds: 0.5,
};

it("adds up what the workers report, in all and by table, code and reason", () => {
  const counters = createCounters();
  count(counters, landed);
  count(counters, {
    ...landed,
    deadPayloads: 0,
    records: [["nightwatch_logs", 1]],
    deadLetters: [],
  });
  count(counters, { type: "retry", reason: "data" });
  count(counters, { type: "retry", reason: "connection" });
  count(counters, { type: "retry", reason: "data" });
  expect(counters).toEqual({
    batches: 2,
    batchesFoundLanded: 0,
    payloads: 6,
    deadPayloads: 1,
    records: 7,
    recordsByTable: { nightwatch_logs: 5, nightwatch_requests: 2 },
    deadLetters: 3,
    deadLettersByCode: { json_invalid: 1, sqlstate_23514: 2 },
    retriesByReason: { data: 2, connection: 1 },
    workerDeaths: 0,
    landingSeconds: 1,
  });
});

it("counts the payloads, not the records, of a batch that had landed before", () => {
  const counters = createCounters();
  count(counters, { ...landed, wasLanded: true, deadPayloads: 0, records: [], deadLetters: [] });
  expect(counters).toMatchObject({ batches: 1, batchesFoundLanded: 1, payloads: 3, records: 0 });
});

it("does not count signs of life", () => {
  const counters = createCounters();
  count(counters, { type: "alive" });
  count(counters, { type: "phase", phase: "landing" });
  expect(counters).toEqual(createCounters());
});
