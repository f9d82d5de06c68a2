import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "../..");
const PAGE = "docs/architecture/what-breaks-elsewhere.md";

/** Each test that the page names. */
function namedTests(): Array<{ file: string; title: string }> {
  const page = readFileSync(join(ROOT, PAGE), "utf8");
  const entry = /\[[\w.-]+\.test\.ts\]\(\.\.\/\.\.\/([^)]+)\): (.+?)\s*(?:<br>| \|$)/gm;
  return [...page.matchAll(entry)].map(([, file = "", title = ""]) => ({ file, title }));
}

/** Titles of a file's groups and tests as patterns: what a title is filled in with may be anything. */
function titlesOf(file: string): { groups: string[]; tests: string[] } {
  const source = readFileSync(join(ROOT, file), "utf8");
  const call =
    /\b(describe|it|test)(?:\.each\([\s\S]*?\)(?=\()|\.\w+)*\(\s*(["'`])((?:\\.|(?!\2)[\s\S])*)\2/g;
  const found = { groups: [] as string[], tests: [] as string[] };
  for (const [, kind, , title = ""] of source.matchAll(call)) {
    const pattern = patternOf(title.replaceAll("\\", ""));
    // All of it filled in: it would match whatever the page says.
    if (pattern === ".+") continue;
    found[kind === "describe" ? "groups" : "tests"].push(pattern);
  }
  return found;
}

function patternOf(title: string): string {
  return title
    .split(/\$\{[^}]*\}|%[a-z]|\$[a-z.]*[a-z]/)
    .map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`))
    .join(".+");
}

test("every test that the page about other systems' faults names exists, under that title", () => {
  const named = namedTests();
  expect(named.length).toBeGreaterThan(80);
  const missing = named.filter(({ file, title }) => {
    if (!existsSync(join(ROOT, file))) return true;
    const { groups, tests } = titlesOf(file);
    const group = ["", ...groups.map((pattern) => `${pattern} `)].join("|");
    return !new RegExp(`^(?:${group})(?:${tests.join("|")})$`).test(title);
  });
  expect(missing).toEqual([]);
});

test("the page names nothing twice in one row and has a test in every row", () => {
  const rows = readFileSync(join(ROOT, PAGE), "utf8")
    .split("\n")
    .filter((line) => line.startsWith("| ") && !/^\| (?:what broke|-+) /.test(line));
  expect(rows.length).toBeGreaterThan(60);
  for (const row of rows) {
    const titles = row.match(/\.test\.ts\]\(\S+\): .+?(?=<br>|\s*\|$)/g) ?? [];
    expect([row, titles.length]).not.toEqual([row, 0]);
    expect(new Set(titles).size).toBe(titles.length);
  }
});
