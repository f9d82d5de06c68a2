import Sqlite from "better-sqlite3";
import fc from "fast-check";
import { expect, it } from "vitest";
import { openSession, startBuffer, WIDE } from "../fixtures/test-buffer.ts";

it("payloads of any bytes and lengths come back as they were, with their tokens", async () => {
  const payload = fc.oneof(
    { weight: 8, arbitrary: fc.uint8Array({ maxLength: 40 }) },
    fc.constantFrom(0, 1, 200, 30_000, 200_000).map((length) => new Uint8Array(length).fill(7)),
  );
  const buffer = await startBuffer();
  const session = openSession(buffer.options.path, buffer.registerOwner().owner);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(payload, fc.constantFrom("web", "jobs")), { minLength: 1, maxLength: 60 }),
      async (sent) => {
        await Promise.all(sent.map(([bytes, token]) => buffer.append(bytes, token)));
        const batch = session.claim(WIDE);
        const read = [...(batch?.payloads ?? [])];
        expect(read.map(({ payload: bytes, token }) => [bytes.toString("hex"), token])).toEqual(
          sent.map(([bytes, token]) => [Buffer.from(bytes).toString("hex"), token]),
        );
        expect(batch?.payloads).toHaveLength(sent.length);
        expect(batch?.payloads.at(-1)).toEqual(read.at(-1));
        expect(batch?.payloads.at(sent.length)).toBeUndefined();
        session.settle(batch?.batchId ?? "");
      },
    ),
    { numRuns: 40 },
  );
});

it.each([
  ["payload", "'text as long, é'"],
  ["payload", "12345"],
  ["received_at", "x'00ff'"],
  ["received_at", "'noon'"],
  ["token", "token + 1"],
  ["checksum", "checksum + 1"],
])("a row whose %s has become %s is lost, and none of those around it", async (column, value) => {
  const buffer = await startBuffer();
  const { path } = buffer.options;
  await Promise.all(
    Array.from({ length: 300 }, (_, index) => buffer.append(Buffer.from(`[${index}]`))),
  );
  const database = new Sqlite(path);
  database.exec(`UPDATE payloads SET ${column} = ${value} WHERE id IN (2, 150)`);
  database.close();
  const session = openSession(path, buffer.registerOwner().owner);
  const batch = session.claim(WIDE);
  const ids = Array.from({ length: 300 }, (_, index) => index + 1);
  expect(batch?.payloads.map(({ id }) => id)).toEqual(ids.filter((id) => id !== 2 && id !== 150));
  expect(batch?.payloads.map(({ id, payload }) => [id, payload.toString()])).toContainEqual([
    151,
    "[150]",
  ]);
  expect(buffer.status()).toMatchObject({ lostRows: 2, claimedRows: 298 });
});
