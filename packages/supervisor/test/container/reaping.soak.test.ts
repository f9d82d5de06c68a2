import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { execArgv } from "../fixtures/fixture.ts";

const ORPHANS = 1_000;

test(`${ORPHANS} orphans in a container leave no zombie two seconds after the last has ended`, () => {
  const folder = mkdtempSync(join(import.meta.dirname, ".reaping-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "main.ts");
  writeFileSync(
    file,
    `import { enterContainer } from "@millrace/supervisor/container";
    enterContainer();
    import { spawnSync } from "node:child_process";
    import { readdirSync, readFileSync } from "node:fs";
    const zombies = () => readdirSync("/proc").filter((pid) => {
      try { return readFileSync("/proc/" + pid + "/stat", "latin1").includes(") Z "); } catch { return false; }
    }).length;
    const orphan = 'i=0; while [ $i -lt 100 ]; do (sleep 0.2 &) ; i=$((i + 1)); done';
    for (let batch = 0; batch < ${ORPHANS / 100}; batch++) spawnSync("sh", ["-c", orphan]);
    setTimeout(() => {
      console.log(zombies());
      process.exit(zombies() === 0 ? 42 : 1);
    }, 2_200);`,
  );
  const args = ["--pid", "--fork", "--mount-proc", process.execPath, ...execArgv, file];
  const { status, stdout } = spawnSync("unshare", args, { encoding: "utf8" });
  expect(stdout.trim()).toBe("0");
  expect(status).toBe(42);
});
