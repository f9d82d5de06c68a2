import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "../..");

function codesOf(file: string): string[] {
  const text = readFileSync(join(ROOT, file), "utf8");
  return [...text.matchAll(/^\s*\|? ?"([A-Z][A-Z_]+)"/gm)].map(([, code = ""]) => code);
}

test("docs/reference/errors.md lists exactly the codes that the packages can throw", () => {
  const reference = readFileSync(join(ROOT, "docs/reference/errors.md"), "utf8");
  const documented = [...reference.matchAll(/^\| `([A-Z_]+)`/gm)].map(([, code = ""]) => code);
  const declared = globSync("packages/*/src/errors.ts", { cwd: ROOT }).flatMap(codesOf);
  expect(declared.length).toBeGreaterThan(20);
  expect(documented.toSorted()).toEqual(declared.toSorted());
});
