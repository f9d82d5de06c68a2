import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Outbox, type OutboxOptions } from "../../src/client/outbox.ts";
import type { DropReason } from "../../src/client/drop-tally.ts";

const MAX_BUFFERED = 4_000;

function makeOutbox(options: Partial<OutboxOptions> = {}) {
  const dropped: Array<[DropReason, number]> = [];
  const outbox = new Outbox({
    maxBatchRecords: 3,
    maxBatchBytes: 100,
    maxBufferedBytes: MAX_BUFFERED,
    delivery: "at-least-once",
    gzip: false,
    onDropped: (reason, records) => dropped.push([reason, records]),
    onReady: () => {},
    ...options,
  });
  return { outbox, dropped };
}

function send(outbox: Outbox): string | undefined {
  const payload = outbox.next()?.payload;
  return payload && Buffer.from(payload).toString();
}

describe("Outbox", () => {
  it("closes a batch when it is full by count", () => {
    const { outbox } = makeOutbox();
    for (const text of ["{}", '{"a":1}', "{}", "{}"]) outbox.add(text);
    expect(send(outbox)).toBe('[{},{"a":1},{}]');
    expect(send(outbox)).toBeUndefined();
    outbox.markOpenDue();
    expect(send(outbox)).toBe("[{}]");
  });

  it("never lets a payload be larger than maxBatchBytes, and takes a record that just fits", () => {
    const { outbox } = makeOutbox();
    const record = (bytes: number) => `{"a":"${"x".repeat(bytes - 8)}"}`;
    expect(outbox.add(record(98))).toBe("taken");
    expect(outbox.add(record(99))).toBe("too_large");
    expect(outbox.add(`{"a":"${"é".repeat(46)}"}`)).toBe("too_large");
    outbox.add(record(48));
    outbox.add(record(49));
    outbox.add(record(49));
    outbox.seal();
    const sizes = [send(outbox), send(outbox), send(outbox)].map((payload) => payload?.length);
    expect(sizes).toEqual([100, 100, 51]);
  });

  it("drops the oldest batch that waits when memory is used up, never one on its way", () => {
    const { outbox, dropped } = makeOutbox({ maxBatchRecords: 1, maxBufferedBytes: 1_000 });
    const add = (n: number) => outbox.add(`{"n":${n}}`);
    add(0);
    send(outbox);
    for (let n = 1; n < 6; n++) expect(add(n)).toBe("taken");
    expect(dropped).toEqual(dropped.map(() => ["buffer_full", 1]));
    outbox.loseUnanswered();
    expect(send(outbox)).toBe('[{"n":0}]');
    expect(send(outbox)).toBe(`[{"n":${dropped.length + 1}}]`);
  });

  it("refuses the newest record when all memory is on its way", () => {
    const { outbox } = makeOutbox({ maxBatchRecords: 1, maxBufferedBytes: 700 });
    outbox.add("{}");
    outbox.add("{}");
    send(outbox);
    send(outbox);
    expect(outbox.add("{}")).toBe("buffer_full");
  });

  it("at-least-once sends unanswered batches again in their order; at-most-once drops them", () => {
    for (const delivery of ["at-least-once", "at-most-once"] as const) {
      const { outbox, dropped } = makeOutbox({ maxBatchRecords: 1, delivery });
      for (const n of [0, 1, 2]) outbox.add(`{"n":${n}}`);
      send(outbox);
      send(outbox);
      outbox.loseUnanswered();
      const isAgain = delivery === "at-least-once";
      expect(send(outbox)).toBe(isAgain ? '[{"n":0}]' : '[{"n":2}]');
      expect(dropped).toHaveLength(isAgain ? 0 : 2);
    }
  });

  it("a refused batch goes first again until its time is up", () => {
    const { outbox, dropped } = makeOutbox({ maxBatchRecords: 1 });
    for (const n of [0, 1]) outbox.add(`{"n":${n}}`);
    for (const now of [1_000, 1_040]) {
      expect(send(outbox)).toBe('[{"n":0}]');
      send(outbox);
      outbox.refuseFirst(now, 50);
    }
    expect(send(outbox)).toBe('[{"n":0}]');
    outbox.refuseFirst(1_050, 50);
    expect(dropped).toEqual([["refused", 1]]);
    expect(send(outbox)).toBe('[{"n":1}]');
  });

  it("loses count of nothing and stays in bounds, whatever happens in whatever order", async () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.integer({ min: 8, max: 120 }) },
      {
        weight: 4,
        arbitrary: fc.constantFrom("send", "acknowledge", "refuse", "lose", "due", "seal" as const),
      },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 200 }),
        fc.constantFrom("at-least-once", "at-most-once"),
        fc.boolean(),
        async (steps, delivery, gzip) => {
          const { outbox, dropped } = makeOutbox({ delivery, gzip, maxBufferedBytes: 2_500 });
          let given = 0;
          let refused = 0;
          const check = () => {
            const lost = dropped.reduce((total, [, records]) => total + records, 0);
            expect(outbox.bufferedBytes).toBeLessThanOrEqual(2_500);
            expect(given).toBe(
              refused + lost + outbox.acknowledgedRecords + outbox.bufferedRecords,
            );
          };
          for (const [now, action] of steps.entries()) {
            if (typeof action === "number") {
              given++;
              if (outbox.add(`{"a":"${"x".repeat(action - 8)}"}`) !== "taken") refused++;
            } else if (action === "send") outbox.next();
            else if (action === "acknowledge") outbox.acknowledgeFirst();
            else if (action === "refuse") outbox.refuseFirst(now, 5);
            else if (action === "lose") outbox.loseUnanswered();
            else if (action === "due") outbox.markOpenDue();
            else outbox.seal();
            check();
          }
          const settled = outbox.settled();
          outbox.dropAll();
          check();
          expect(outbox).toMatchObject({ bufferedRecords: 0, bufferedBytes: 0 });
          await settled;
        },
      ),
    );
  });
});
