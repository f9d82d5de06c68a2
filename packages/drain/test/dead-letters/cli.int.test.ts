import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { readCommandLine } from "../../src/dead-letters/cli/command-line.ts";
import { emptyDatabase } from "../fixtures/empty-database.ts";
import { temporaryFolder } from "../fixtures/running-pool.ts";
import { smallSchema } from "../fixtures/small-schema.ts";
import { request } from "../fixtures/telemetry.ts";
import { countLetters, refuseRequests, storeLetters, takeRequests } from "./refused-requests.ts";

const ENTRY = fileURLToPath(new URL("../../src/dead-letters/cli/main.ts", import.meta.url));

function runOn(url: string) {
  return (...values: string[]) => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ["--conditions=@millrace/source", ENTRY, ...values],
      { encoding: "utf8", env: { ...process.env, MILLRACE_DATABASE_URL: url } },
    );
    return { code: status, out: stdout, error: stderr };
  };
}

describe("millrace-dead-letters", () => {
  it("lists, shows, replays by a schema of one's own, and discards only by force", async () => {
    const database = await emptyDatabase();
    await storeLetters(database, 3);
    const run = runOn(database.url);
    const listed = run("list", "--code", "sqlstate_23514", "--limit", "2", "--json");
    expect(listed).toMatchObject({ code: 0, error: "" });
    const letters = listed.out
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { id: number });
    expect(letters).toMatchObject([{ id: 3, token: "default" }, { id: 2 }]);
    expect(run("list").out.split("\n")).toHaveLength(4);
    expect(JSON.parse(run("show", "1", "--raw").out)).toEqual(request(0));
    expect(run("show", "99")).toMatchObject({ code: 1, out: "" });

    const schema = join(temporaryFolder(), "schema.js");
    writeFileSync(schema, `export const schema = ${JSON.stringify(smallSchema())};`);
    await refuseRequests(database);
    const refused = run("replay", "--id", "1", "--schema", schema);
    expect(refused).toMatchObject({ code: 1, out: expect.stringContaining("1 sqlstate_23514") });
    await takeRequests(database);
    const replayed = run("replay", "--id", "1", "--id", "2", "--schema", schema, "--json");
    expect(replayed.code).toBe(0);
    expect(JSON.parse(replayed.out)).toEqual({ replayed: 2, stillDead: 0, byReason: {} });

    expect(run("discard", "--all")).toMatchObject({
      code: 2,
      error: expect.stringContaining("--force"),
    });
    expect(await countLetters(database)).toBe(1);
    expect(run("discard", "--all", "--force").out).toBe("1 letters are gone\n");
    expect(await countLetters(database)).toBe(0);
  });

  it("makes nothing in a database that it only looks at, and says what went wrong", async () => {
    const database = await emptyDatabase();
    expect(runOn(database.url)("list")).toMatchObject({
      code: 2,
      error: expect.stringContaining("millrace_dead_letters"),
    });
    expect(await database.query("SELECT FROM pg_tables WHERE tablename ~ 'millrace'")).toEqual([]);
    expect(runOn("postgres://nobody@127.0.0.1:9/none")("list").code).toBe(2);
    expect(runOn("")("--help")).toMatchObject({ code: 0, error: "" });
    expect(runOn("")("mend").code).toBe(2);
  });

  it("takes nothing for everything, and no two ways to say which", () => {
    expect(readCommandLine(["replay"], {}).selection).toBeUndefined();
    expect(readCommandLine(["replay", "--all"], {}).selection).toEqual({ filter: {} });
    expect(readCommandLine(["replay", "--id", "7"], {}).selection).toEqual({ ids: [7] });
    const wrong = [
      ["replay", "--all", "--id", "1"],
      ["replay", "--id", "x"],
      ["replay", "--since", "yesterday"],
      ["replay", "7"],
      ["list", "--limit", "0"],
      ["list", "--nonsense"],
    ];
    for (const args of wrong) expect(() => readCommandLine(args, {})).toThrow(TypeError);
  });
});
