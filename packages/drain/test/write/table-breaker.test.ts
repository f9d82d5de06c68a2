import { describe, expect, it } from "vitest";
import { type BreakerChange, TableBreakers } from "../../src/write/table-breaker.ts";

function refusal(code: string, fields: Record<string, string> = {}): Error {
  return Object.assign(new Error("refused"), { severity: "ERROR", code, ...fields });
}

function breakersOf(limit: number) {
  const changes: BreakerChange[] = [];
  const breakers = new TableBreakers(limit, (change) => changes.push(change));
  const refuse = (times: number, error: Error, table = "requests") => {
    for (let row = 0; row < times; row++) breakers.refused(table, error);
  };
  return { breakers, changes, refuse };
}

const violated = refusal("23514", { constraint: "positive" });

describe("a table's circuit breaker", () => {
  it("opens with the first row over the limit, and for that table only", () => {
    const { breakers, refuse } = breakersOf(3);
    refuse(3, violated);
    expect(breakers.isOpen("requests")).toBe(false);
    refuse(1, violated);
    expect(breakers.isOpen("requests")).toBe(true);
    expect(breakers.isAnyOpen).toBe(true);
    expect(breakers.isOpen("logs")).toBe(false);
  });

  it.each([
    ["another SQLSTATE", refusal("23505", { constraint: "positive" })],
    ["another constraint", refusal("23514", { constraint: "short" })],
    ["another column", refusal("23514", { column: "url" })],
    [
      "another column of a COPY",
      refusal("23514", { where: 'COPY requests, line 3, column url: "x"' }),
    ],
  ])("counts from one again at %s", (_what, other) => {
    const { breakers, refuse } = breakersOf(3);
    refuse(3, violated);
    refuse(1, other);
    refuse(2, violated);
    expect(breakers.isOpen("requests")).toBe(false);
  });

  it("closes with the first row that lands", () => {
    const { breakers, refuse } = breakersOf(3);
    refuse(9, violated);
    breakers.landed("requests");
    expect(breakers.isOpen("requests")).toBe(false);
    refuse(3, violated);
    expect(breakers.isOpen("requests")).toBe(false);
  });

  it("tells of a change once, when the batch that made it is committed", () => {
    const { breakers, changes, refuse } = breakersOf(3);
    refuse(4, violated);
    expect(changes).toEqual([]);
    breakers.commit();
    refuse(4, violated);
    breakers.commit();
    const fault = { sqlState: "23514", at: "positive", message: "refused" };
    expect(changes).toEqual([{ table: "requests", fault }]);
    breakers.landed("requests");
    breakers.commit();
    expect(changes.slice(1)).toEqual([{ table: "requests", fault: undefined }]);
  });

  it("does not count rows of a batch that was rolled back", () => {
    const { breakers, changes, refuse } = breakersOf(3);
    refuse(2, violated);
    breakers.commit();
    refuse(2, violated);
    breakers.rollBack();
    refuse(1, violated);
    breakers.commit();
    expect(breakers.isOpen("requests")).toBe(false);
    refuse(1, violated);
    breakers.commit();
    expect(changes).toHaveLength(1);
  });
});
