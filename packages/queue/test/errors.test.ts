import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

const read = (path: string) => readFileSync(new URL(path, import.meta.url), "utf8");

describe("the error codes", () => {
  it("are those of the reference, neither more nor fewer", () => {
    const declared = [...read("../src/errors.ts").matchAll(/\| "(QUEUE_\w+)"/g)].map(
      ([, code]) => code,
    );
    const documented = [
      ...read("../../../docs/reference/errors.md").matchAll(/^\| `(QUEUE_\w+)`/gm),
    ].map(([, code]) => code);
    expect(documented).toEqual(declared);
    expect(declared.length).toBeGreaterThan(10);
  });
});
