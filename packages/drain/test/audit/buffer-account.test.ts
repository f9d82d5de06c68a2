import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { accountFor, withoutLanded } from "../../src/audit/buffer-account.ts";
import type { BufferedRun } from "@millrace/core/buffer";

const HOUR = 3_600_000;
const range = { from: 10 * HOUR, to: 14 * HOUR };

function account(history: Partial<Parameters<typeof accountFor>[1]>) {
  const accounts = accountFor(
    "b",
    { landed: [], lastIdBefore: undefined, firstIdAfter: undefined, buffered: [], ...history },
    range,
  );
  return [...accounts].map(([hour, { accepted, landed, buffered, unaccounted }]) => [
    hour / HOUR,
    { accepted, landed, buffered, unaccounted },
  ]);
}

const landed = (hour: number, firstId: number, lastId: number, payloads?: number) => ({
  hour: hour * HOUR,
  firstId,
  lastId,
  payloads: payloads ?? lastId - firstId + 1,
});
const run = (hour: number, firstId: number, lastId: number): BufferedRun => ({
  hour: hour * HOUR,
  firstId,
  lastId,
});

describe("accountFor", () => {
  it("finds what is neither landed nor buffered, within hours and between them", () => {
    expect(account({ landed: [landed(10, 1, 10), landed(11, 15, 20, 5)] })).toEqual([
      [10, { accepted: 14, landed: 10, buffered: 0, unaccounted: 4 }],
      [11, { accepted: 6, landed: 5, buffered: 0, unaccounted: 1 }],
    ]);
  });

  it("counts a gap at the edge of the range, even when nothing else is in it", () => {
    const edges = { lastIdBefore: 5, firstIdAfter: 31 };
    expect(account({ landed: [landed(10, 11, 20)], ...edges })).toEqual([
      [10, { accepted: 25, landed: 10, buffered: 0, unaccounted: 15 }],
    ]);
    expect(account(edges)).toEqual([
      [10, { accepted: 25, landed: 0, buffered: 0, unaccounted: 25 }],
    ]);
    expect(account({ lastIdBefore: 5, firstIdAfter: 6 })).toEqual([]);
    expect(account({ buffered: [run(9, 1, 5), run(15, 9, 9)] })[0]).toEqual([
      10,
      { accepted: 3, landed: 0, buffered: 0, unaccounted: 3 },
    ]);
  });

  it("says that it does not know of a file that was not read", () => {
    expect(account({ landed: [landed(10, 1, 3)], buffered: undefined })).toEqual([
      [10, { accepted: 3, landed: 3, buffered: undefined, unaccounted: 0 }],
    ]);
  });

  it("accounts for each payload once, wherever it is", () => {
    const fate = fc.constantFrom("landed", "buffered", "gone");
    const payloads = fc.array(fc.tuple(fate, fc.boolean()), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(payloads, (fates) => {
        let hour = 10;
        const all = fates.map(([what, isNextHour], index) => {
          if (isNextHour && hour < 13) hour++;
          return { id: index + 1, hour, what };
        });
        const byHour = Map.groupBy(
          all.filter(({ what }) => what === "landed"),
          (payload) => payload.hour,
        );
        const accounts = account({
          landed: [...byHour].map(([at, ids]) =>
            landed(at, ids[0]?.id ?? 0, ids.at(-1)?.id ?? 0, ids.length),
          ),
          buffered: all
            .filter(({ what }) => what === "buffered")
            .map(({ id, hour: at }) => run(at, id, id)),
          lastIdBefore: 0,
          firstIdAfter: all.length + 1,
        });
        const total = (key: "accepted" | "landed" | "buffered" | "unaccounted") =>
          accounts.reduce((sum, [, values]) => sum + Number((values as never)[key]), 0);
        const count = (wanted: string) => all.filter(({ what }) => what === wanted).length;
        expect({
          accepted: total("accepted"),
          landed: total("landed"),
          buffered: total("buffered"),
          unaccounted: total("unaccounted"),
        }).toEqual({
          accepted: all.length,
          landed: count("landed"),
          buffered: count("buffered"),
          unaccounted: count("gone"),
        });
      }),
    );
  });
});

it("what has landed is cut out of what a file still holds", () => {
  const runs = [run(10, 1, 10), run(11, 11, 20)];
  const ranges = [
    { firstId: 15, lastId: 30 },
    { firstId: 3, lastId: 4 },
    { firstId: 8, lastId: 12 },
  ];
  expect(withoutLanded(runs, ranges)).toEqual([run(10, 1, 2), run(10, 5, 7), run(11, 13, 14)]);
  expect(withoutLanded(runs, [])).toEqual(runs);
});
