import { describe, expect, it } from "vitest";
import {
  classifyFailure,
  copyLineOf,
  isMissingObject,
  sqlStateOf,
} from "../../src/write/sqlstate.ts";

/** As node-postgres throws it. */
function serverError(code: string, message = "the server says no", where?: string): Error {
  return Object.assign(new Error(message), { code, severity: "ERROR", where });
}

describe("classifyFailure", () => {
  it.each([
    ["22021", "data", "a character that the encoding does not have"],
    ["22P02", "data", "text that is no number"],
    ["23514", "data", "a CHECK constraint"],
    ["23505", "data", "a unique constraint"],
    ["21000", "data", "one statement meets a row twice"],
    ["27000", "data", "a trigger changed the row meanwhile"],
    ["38000", "data", "a trigger in another language"],
    ["44000", "data", "a view's CHECK OPTION"],
    ["54000", "data", "an index row too large"],
    ["P0001", "data", "RAISE EXCEPTION in a trigger"],
    ["MY001", "data", "a code that a trigger made up"],
    ["42804", "data", "the column has another type now"],
    ["42P01", "schema", "no such table"],
    ["42703", "schema", "no such column"],
    ["42501", "schema", "no right to insert"],
    ["42601", "schema", "a syntax error"],
    ["28P01", "schema", "the wrong password"],
    ["3D000", "schema", "no such database"],
    ["3F000", "schema", "no such schema"],
    ["0A000", "schema", "not supported"],
    ["08006", "transient", "the connection failed"],
    ["25006", "transient", "a read-only server"],
    ["25P02", "transient", "the transaction has failed already"],
    ["40001", "transient", "a serialisation failure"],
    ["40P01", "transient", "a deadlock"],
    ["53100", "transient", "the disk is full"],
    ["53300", "transient", "too many connections"],
    ["55P03", "transient", "a lock was not to be had"],
    ["57014", "transient", "the statement was cancelled"],
    ["57P01", "transient", "an administrator ended the session"],
    ["57P03", "transient", "the server is starting"],
    ["58030", "transient", "an I/O error"],
    ["XX000", "transient", "an internal error"],
    ["F0000", "transient", "a broken configuration"],
  ] as const)("%s is %s: %s", (code, kind, _what) => {
    expect(classifyFailure(serverError(code))).toBe(kind);
  });

  it("does not read messages: a row may hold any text", () => {
    expect(classifyFailure(serverError("22P02", 'invalid input: "connection refused"'))).toBe(
      "data",
    );
    expect(classifyFailure(serverError("23514", "57P01 terminating connection"))).toBe("data");
    expect(classifyFailure(new Error("duplicate key value 23505"))).toBe("transient");
  });

  it("takes errors of the way to the server for the moment's", () => {
    const reset = Object.assign(new Error("read ECONNRESET"), {
      code: "ECONNRESET",
      syscall: "read",
    });
    expect(classifyFailure(reset)).toBe("transient");
    // Five characters, but Node's: the server's errors have a severity.
    expect(classifyFailure(Object.assign(new Error("broken pipe"), { code: "EPIPE" }))).toBe(
      "transient",
    );
    expect(classifyFailure(undefined)).toBe("transient");
    expect(classifyFailure("22P02")).toBe("transient");
  });
});

describe("isMissingObject", () => {
  it("is true only of what making tables again may bring back", () => {
    expect(["42P01", "42703", "3F000"].every((code) => isMissingObject(serverError(code)))).toBe(
      true,
    );
    expect(["42501", "3D000", "22P02"].some((code) => isMissingObject(serverError(code)))).toBe(
      false,
    );
    expect(isMissingObject(new Error("42P01"))).toBe(false);
  });
});

describe("sqlStateOf", () => {
  it("is the server's code and nobody else's", () => {
    expect(sqlStateOf(serverError("22P02"))).toBe("22P02");
    expect(sqlStateOf(Object.assign(new Error("x"), { code: "22P02" }))).toBeUndefined();
    expect(sqlStateOf(serverError("22p02"))).toBeUndefined();
    expect(sqlStateOf(null)).toBeUndefined();
  });
});

describe("copyLineOf", () => {
  it.each([
    ["COPY nightwatch_logs, line 7", 7],
    ['COPY nightwatch_logs, line 12, column duration_us: "x"', 12],
    ["PL/pgSQL function refuse() line 3 at RAISE\nCOPY nightwatch_logs, line 5", 5],
    ['SQL statement "SELECT 1"', undefined],
    [undefined, undefined],
  ])("finds the line in %j", (where, line) => {
    expect(copyLineOf(serverError("22P02", "no", where))).toBe(line);
  });
});
