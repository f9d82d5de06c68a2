import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { startPostgres } from "@millrace/services";
import { describe, expect, test } from "vitest";
import { isAlive } from "../src/process-table.ts";
import { giveTo, unprivilegedUser } from "../src/service-user.ts";
import { waitUntil } from "../src/wait-until.ts";
import { query } from "./fixtures/query.ts";

const OWNER = fileURLToPath(new URL("fixtures/owns-services.ts", import.meta.url));

interface Owned {
  readonly pids: number[];
  readonly dataDir: string;
}

async function startOwner(ending: string): Promise<{ owner: ChildProcess; owned: Owned }> {
  const owner = spawn(process.execPath, ["--conditions=@millrace/source", OWNER, ending], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  const [line] = (await once(owner.stdout, "data")) as [Buffer];
  return { owner, owned: JSON.parse(line.toString()) as Owned };
}

function leftovers({ pids, dataDir }: Owned): unknown[] {
  return [...pids.filter(isAlive), ...[dirname(dataDir)].filter((path) => existsSync(path))];
}

describe("services end with the process that started them", () => {
  test.each(["returns", "throws"])("which %s", async (ending) => {
    const { owner, owned } = await startOwner(ending);

    await once(owner, "exit");

    expect(leftovers(owned)).toEqual([]);
  });

  test.each(["SIGTERM", "SIGINT", "SIGHUP"] as const)("which gets %s", async (signal) => {
    const { owner, owned } = await startOwner("waits");
    owner.kill(signal);

    const [, endedBy] = (await once(owner, "exit")) as [unknown, string];

    expect(endedBy).toBe(signal);
    expect(leftovers(owned)).toEqual([]);
  });

  test("which gets SIGKILL, a moment later", async () => {
    const { owner, owned } = await startOwner("waits");
    expect(leftovers(owned)).toHaveLength(3);

    owner.kill("SIGKILL");

    await waitUntil(() => leftovers(owned).length === 0, {
      description: "the watchdogs have cleaned up",
    });
  });
});

describe("a data folder of the user", () => {
  const user = unprivilegedUser();

  async function withFolder(use: (dataDir: string) => Promise<void>): Promise<void> {
    const parent = mkdtempSync(join(tmpdir(), "millrace-kept-"));
    giveTo(user, parent);
    try {
      await use(join(parent, "cluster"));
    } finally {
      rmSync(parent, { recursive: true, force: true });
    }
  }

  test("keeps its rows and its password from one server to the next", async () => {
    await withFolder(async (dataDir) => {
      const first = await startPostgres({ dataDir });
      await query(first.url, "CREATE TABLE kept AS SELECT 7 AS id");
      await first.remove();

      await using second = await startPostgres({ dataDir });

      expect(second.password).toBe(first.password);
      expect(await query(second.url, "SELECT id FROM kept")).toEqual([{ id: 7 }]);
    });
  });

  test("starts although the process id of its killed server belongs to another program now", async () => {
    await withFolder(async (dataDir) => {
      const killed = await startPostgres({ dataDir });
      await killed.kill();
      const pidFile = join(dataDir, "postmaster.pid");
      const lines = readFileSync(pidFile, "utf8").split("\n");
      writeFileSync(pidFile, [process.pid, ...lines.slice(1)].join("\n"));

      await using next = await startPostgres({ dataDir });

      expect(await query(next.url, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
    });
  });

  test("that holds other files is refused and left alone", async () => {
    await withFolder(async (dataDir) => {
      const parent = dirname(dataDir);
      writeFileSync(join(parent, "letter.txt"), "mine");

      await expect(startPostgres({ dataDir: parent })).rejects.toMatchObject({
        code: "SERVICES_START_FAILED",
      });

      expect(readFileSync(join(parent, "letter.txt"), "utf8")).toBe("mine");
    });
  });
});

test("a server that does not come up is reported with the end of its log", async () => {
  await expect(startPostgres({ settings: { shared_buffers: "nonsense" } })).rejects.toThrow(
    /invalid value for parameter "shared_buffers"/,
  );
});
