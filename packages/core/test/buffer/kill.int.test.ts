import { randomInt } from "node:crypto";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { waitFor } from "../../src/testing.ts";
import { spawnFixture } from "../fixtures/spawn-fixture.ts";
import { temporaryFolder } from "../fixtures/temporary-folder.ts";
import { openSession, startBuffer } from "../fixtures/test-buffer.ts";

const ROUNDS = 8;

test(`kill -9 at ${ROUNDS} random moments: every acknowledged payload is in the file exactly once`, async () => {
  const seed = Number(process.env["MILLRACE_TEST_SEED"] ?? randomInt(2 ** 31));
  console.log(`seed ${seed} (MILLRACE_TEST_SEED=${seed} draws the same moments)`);
  const moments = fc.sample(fc.integer({ min: 1, max: 15_000 }), { seed, numRuns: ROUNDS });
  const path = join(temporaryFolder(), "buffer.db");
  const acknowledgedPath = `${path}.acknowledged`;
  writeFileSync(acknowledgedPath, "");
  for (const [round, moment] of moments.entries()) {
    const before = statSync(acknowledgedPath).size;
    const { child, ended, errorText } = spawnFixture(
      "appends-until-killed",
      path,
      String(round),
      acknowledgedPath,
    );
    await waitFor(
      () => {
        if (child.exitCode !== null) throw new Error(`round ${round} ended: ${errorText()}`);
        return statSync(acknowledgedPath).size - before >= moment;
      },
      { intervalMs: 1, timeoutMs: 20_000 },
    );
    child.kill("SIGKILL");
    expect(await ended).toBe("SIGKILL");
  }
  const acknowledged = readFileSync(acknowledgedPath, "utf8").trimEnd().split("\n");

  const buffer = await startBuffer({ path, maxRows: 10_000_000 });
  const session = openSession(path, buffer.registerOwner().owner);
  const stored = new Map<string, number>();
  let lastId = 0;
  for (;;) {
    const batch = session.claim({ maxRows: 5_000, maxBytes: 1e9 });
    if (batch === undefined) break;
    for (const { id, payload } of batch.payloads) {
      expect(id).toBe(++lastId);
      const name = payload.toString().replace(/\.+$/, "");
      stored.set(name, (stored.get(name) ?? 0) + 1);
    }
    session.settle(batch.batchId);
  }
  const wrong = acknowledged.filter((name) => stored.get(name) !== 1);
  expect(wrong).toEqual([]);
  expect([...stored.values()].every((count) => count === 1)).toBe(true);
  expect(acknowledged.length).toBeGreaterThanOrEqual(ROUNDS);
  expect(buffer.status()).toMatchObject({ rows: 0, bytes: 0, appendedRows: stored.size });
});
