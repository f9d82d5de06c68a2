import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { nodeCommand } from "../fixtures/fixture.ts";

test("a start for which there are no descriptors left fails as others do, and is tried again", async () => {
  const limited = ["-c", 'ulimit -n 60; exec "$@"', "sh"];
  const { stdout } = await promisify(execFile)("/bin/sh", [
    ...limited,
    ...nodeCommand("runs-out-of-descriptors.ts"),
  ]);
  expect(stdout.trim().split("\n")).toEqual(["EMFILE", "ready"]);
});
