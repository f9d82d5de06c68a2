import type { DeadLetterFilter } from "@millrace/drain";
import { describe, expect, it } from "vitest";
import { emptyDatabase } from "../fixtures/empty-database.ts";
import { runPool } from "../fixtures/running-pool.ts";
import { numbers, request } from "../fixtures/telemetry.ts";
import {
  countLetters,
  openDeadLetters,
  refusedRequests,
  storedLetters,
} from "./refused-requests.ts";

describe("listing dead letters", () => {
  it("goes through all of them page by page, the newest first, and never twice", async () => {
    const database = await storedLetters(25);
    const letters = openDeadLetters(database.url);
    const ids: number[] = [];
    const sizes: number[] = [];
    let cursor: string | undefined;
    do {
      const page = await letters.list({ limit: 10, cursor });
      ids.push(...page.letters.map(({ id }) => id));
      sizes.push(page.letters.length);
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    expect(sizes).toEqual([10, 10, 5]);
    const stored = await database.query<{ id: string }>(
      "SELECT id FROM millrace_dead_letters ORDER BY id DESC",
    );
    expect(ids).toEqual(stored.map(({ id }) => Number(id)));
  });

  it("tells all about a letter but its content, unless asked", async () => {
    const { running } = await refusedRequests(1);
    const { letters } = await running.pool.deadLetters.list();
    const text = JSON.stringify(request(0));
    expect(letters).toEqual([
      {
        id: 1,
        batchId: expect.stringMatching(/^[0-9a-f-]{36}$/),
        payloadId: 1,
        recordIndex: 0,
        destination: "nightwatch_requests",
        code: "sqlstate_23514",
        reason: expect.stringContaining('"none"'),
        token: "default",
        receivedAt: expect.any(Date),
        createdAt: expect.any(Date),
        attempts: 0,
        lastTriedAt: undefined,
        contentBytes: text.length,
      },
    ]);
    const withContent = await running.pool.deadLetters.list({ includeContent: true });
    expect(withContent.letters[0]?.content?.toString()).toBe(text);
  });

  it("meets every part of a filter", async () => {
    const database = await storedLetters(4);
    const letters = openDeadLetters(database.url);
    await database.query(
      `UPDATE millrace_dead_letters SET token = 'other', created_at = '2026-01-02T00:00:00Z',
         destination = NULL, code = 'record_invalid' WHERE record_index < 2`,
    );
    const countOf = async (filter: DeadLetterFilter) => (await letters.list(filter)).letters.length;
    expect(await countOf({ code: "sqlstate_23514" })).toBe(2);
    expect(await countOf({ destination: "nightwatch_requests" })).toBe(2);
    expect(await countOf({ token: "other" })).toBe(2);
    expect(await countOf({ until: new Date("2026-01-02T00:00:00Z") })).toBe(0);
    expect(await countOf({ until: new Date("2026-01-02T00:00:01Z") })).toBe(2);
    expect(
      await countOf({
        since: new Date("2026-01-02T00:00:00Z"),
        until: new Date("2026-01-02T00:00:01Z"),
      }),
    ).toBe(2);
    expect(await countOf({ token: "other", code: "sqlstate_23514" })).toBe(0);
  });

  it("ends a page of contents early when they are large", async () => {
    const database = await emptyDatabase();
    const { append, drained, pool } = await runPool({ url: database.url });
    const huge = Buffer.alloc(9 * 1024 * 1024, "x");
    for (const _ of numbers(2)) await append(huge);
    await drained();
    const first = await pool.deadLetters.list({ includeContent: true });
    expect(first.letters.map(({ content }) => content?.length)).toEqual([huge.length]);
    const second = await pool.deadLetters.list({ includeContent: true, cursor: first.nextCursor });
    expect(second.letters).toHaveLength(1);
    expect(second.nextCursor).toBeUndefined();
  });

  it("refuses options that it does not know", async () => {
    const letters = openDeadLetters("postgres://nobody@127.0.0.1:1/none");
    await expect(letters.list({ limit: 0 })).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    await expect(letters.list({ cursor: "DROP" })).rejects.toMatchObject({
      code: "CONFIG_INVALID",
    });
    await expect(letters.list()).rejects.toMatchObject({ code: "DRAIN_DATABASE_UNREACHABLE" });
  });
});

describe("discarding dead letters", () => {
  it("deletes those that are meant and tells how many", async () => {
    const database = await storedLetters(6);
    const letters = openDeadLetters(database.url);
    const { letters: listed } = await letters.list({ limit: 2 });
    expect(await letters.discard({ ids: listed.map(({ id }) => id) })).toBe(2);
    expect(await letters.discard({ filter: { code: "record_invalid" } })).toBe(0);
    expect(await countLetters(database)).toBe(4);
    expect(await letters.discard({ filter: {} })).toBe(4);
    expect(await countLetters(database)).toBe(0);
  });
});
