import Sqlite from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { startBuffer } from "../fixtures/test-buffer.ts";

test("while another program holds the write lock, signing on fails with a code and signing off waits for the end", async () => {
  const buffer = await startBuffer();
  const { path } = buffer.options;
  const owner = buffer.registerOwner();
  const other = new Sqlite(path);
  onTestFinished(() => void other.close());
  const countOwners = () => other.prepare("SELECT count(*) FROM owners").pluck().get();

  other.exec("BEGIN IMMEDIATE");
  expect(() => buffer.registerOwner()).toThrow(
    expect.objectContaining({
      code: "BUFFER_WRITE_FAILED",
      message: expect.stringMatching(/database is locked.*held its write lock for 5 s/),
      retryable: true,
    }),
  );
  // A pool that is closed has landed all it could: nothing is left to fail.
  owner.release();
  other.exec("COMMIT");

  expect(countOwners()).toBe(1);
  await buffer.close();
  expect(countOwners()).toBe(0);
});
