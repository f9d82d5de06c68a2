import { expect, it } from "vitest";
import { isOverload, stallCodeOf } from "../../src/stall/stall-code.ts";

const sent = (code: string) => Object.assign(new Error("no"), { code, severity: "ERROR" });

it.each([
  ["55P03", "table-locked", true],
  ["40P01", "table-locked", true],
  ["57014", "table-locked", true],
  ["53300", "postgres-busy", true],
  ["53100", "postgres-busy", true],
  ["08P01", "postgres-busy", true],
  ["57P01", "postgres-unreachable", false],
  ["57P03", "postgres-unreachable", false],
  ["42501", "postgres-refuses", false],
  ["25006", "postgres-refuses", false],
  ["28P01", "postgres-refuses", false],
] as const)("SQLSTATE %s is %s", (sqlState, code, overload) => {
  expect(stallCodeOf(sent(sqlState))).toBe(code);
  expect(stallCodeOf(new Error("cannot connect", { cause: sent(sqlState) }))).toBe(code);
  expect(isOverload(code)).toBe(overload);
});

it("an error that PostgreSQL did not send means that it cannot be reached", () => {
  expect(stallCodeOf(Object.assign(new Error("refused"), { code: "ECONNREFUSED" }))).toBe(
    "postgres-unreachable",
  );
});
