import { globSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { API_ROUTES } from "../src/api/api-routes.ts";

const page = readFileSync(
  new URL("../../../docs/reference/supervisor.md", import.meta.url),
  "utf8",
);

function source(name: string): string {
  return readFileSync(new URL(`../src/${name}`, import.meta.url), "utf8");
}

function names(text: string, pattern: RegExp): string[] {
  return [...new Set([...text.matchAll(pattern)].map(([match]) => match))].toSorted();
}

test("the reference lists exactly the routes that there are, with their scopes", () => {
  const listed = [...page.matchAll(/^\| `(GET|POST) (\S+)` +\| (\w+)/gm)].map(
    ([, method, path, scope]) => `${method} ${path} ${scope}`,
  );
  const routes = API_ROUTES.map(
    ({ method, path, scope }) => `${method.toUpperCase()} ${path} ${scope ?? "none"}`,
  );
  expect(listed.toSorted()).toEqual(routes.toSorted());
});

test("the reference lists exactly the events and metrics that there are", () => {
  const metrics = /millrace_[a-z_]+/g;
  expect(names(page, metrics)).toEqual(names(source("supervisor-metrics.ts"), metrics));
  const events = /(?<=["`])[a-z]+:[a-z]+(?=["`])/g;
  expect(names(page, events)).toEqual(names(source("supervisor-events.ts"), events));
});

test("the reference lists exactly the codes of the API alone, and every other code is declared", () => {
  const table = page.slice(page.indexOf("| status |"), page.indexOf("## States"));
  const sources = globSync("**/*.ts", { cwd: new URL("../src/", import.meta.url) }).map(source);
  const codes = (pattern: RegExp): string[] => [
    ...new Set(sources.flatMap((text) => [...text.matchAll(pattern)].map(([, code = ""]) => code))),
  ];
  const listed = names(table, /(?<=`)[A-Z]+(_[A-Z]+)*(?=`)/g);
  expect(listed).toEqual(
    codes(/new ApiError\(\s*\d+,\s*"(\w+)"/g)
      .concat("INTERNAL")
      .toSorted(),
  );
  const thrown = codes(/new MillraceError(?:<\w+>)?\(\s*"(\w+)"/g);
  expect(thrown.length).toBeGreaterThan(10);
  const declared = source("errors.ts") + source("../../core/src/errors.ts");
  expect(thrown.filter((code) => !declared.includes(`"${code}"`))).toEqual([]);
});
