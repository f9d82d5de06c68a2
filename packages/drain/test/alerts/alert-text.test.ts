import { describe, expect, it } from "vitest";
import type { Alert } from "../../src/alerts/alert.ts";
import { cut, messageText, messageTitle } from "../../src/alerts/alert-text.ts";
import { messageId } from "../../src/alerts/outbox.ts";

const alert = (fields: Partial<Alert> = {}): Alert => ({
  id: "1",
  kind: "issue.new",
  source: "nightwatch_issues",
  issue: {
    class: "Broken",
    message: "no luck",
    file: "a.php",
    line: 3,
    occurrences: 2,
    token: "web",
  },
  createdAt: new Date("2026-01-01T00:00:00Z"),
  ...fields,
});

describe("the text of an alert", () => {
  it("says what, where and how often", () => {
    const message = { id: "1", alerts: [alert({ url: "https://x/1" })] as const };
    expect(messageTitle(message)).toBe("New issue: Broken");
    expect(messageText(message).split("\n")).toEqual([
      "no luck",
      "at a.php:3",
      "seen 2 times, last at 2026-01-01T00:00:00.000Z, token web",
      "https://x/1",
    ]);
  });

  it("of an issue that has none of the usual columns still says which table it is in", () => {
    const message = { id: "1", alerts: [alert({ issue: {}, kind: "issue.reopened" })] as const };
    expect(messageTitle(message)).toBe("Reopened issue: nightwatch_issues");
    expect(messageText(message)).toContain("seen 1 times");
  });

  it("of many names the first and counts the others", () => {
    const many = Array.from({ length: 24 }, (_, index) =>
      alert({ kind: index < 4 ? "issue.reopened" : "issue.new" }),
    );
    const message = { id: "1", alerts: [alert(), ...many] as const };
    expect(messageTitle(message)).toBe("21 new and 4 reopened issues");
    const lines = messageText(message).split("\n");
    expect(lines).toHaveLength(21);
    expect(lines.at(-1)).toBe("and 5 more");
  });

  it("is cut between characters, never within one", () => {
    expect(cut("abc", 3)).toBe("abc");
    expect(cut("abcd", 3)).toBe("ab…");
    expect(cut("a😀cd", 3)).toBe("a…");
  });
});

it("a message's id is its alert's, and that of a group depends on all of theirs", () => {
  expect(messageId([alert()])).toBe("1");
  const pair = messageId([alert(), alert({ id: "2" })]);
  expect(pair).toMatch(/^digest-[0-9a-f]{32}$/);
  expect(messageId([alert(), alert({ id: "2" })])).toBe(pair);
  expect(messageId([alert(), alert({ id: "3" })])).not.toBe(pair);
});
