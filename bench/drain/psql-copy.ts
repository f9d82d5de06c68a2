import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { postgresCpuSeconds } from "../postgres/postgres-cpu.ts";
import type { DrainRows } from "./drain-rows.ts";

/** Whether `\copy` can be measured. */
export function findPsql(): string | undefined {
  return (process.env["PATH"] ?? "")
    .split(delimiter)
    .map((folder) => join(folder, "psql"))
    .find((program) => existsSync(program));
}

/** Runs one `\copy` a table, each a transaction; the time includes psql's own start. */
export async function runPsqlCopy(options: {
  psql: string;
  databaseUrl: string;
  postmasterPid: number;
  rows: DrainRows;
}): Promise<{ seconds: number; postgresCpuSeconds: number | undefined }> {
  const { psql, databaseUrl, postmasterPid, rows } = options;
  const scriptPath = `${rows.copyPath}.psql`;
  const lines = rows.tables.map(({ sql, path }) =>
    sql.replace("COPY", String.raw`\copy`).replace("STDIN", `'${path}'`),
  );
  writeFileSync(scriptPath, `${lines.join("\n")}\n`);
  const cpuBefore = postgresCpuSeconds(postmasterPid);
  const startedAt = performance.now();
  const child = spawn(
    psql,
    ["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", `--file=${scriptPath}`, databaseUrl],
    { stdio: ["ignore", "ignore", "inherit"] },
  );
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  const [exitCode] = (await once(child, "exit")) as [number | null];
  process.off("exit", kill);
  const seconds = (performance.now() - startedAt) / 1_000;
  if (exitCode !== 0) throw new Error(`psql ended with exit code ${exitCode}`);
  const cpuAfter = postgresCpuSeconds(postmasterPid);
  return {
    seconds,
    postgresCpuSeconds:
      cpuBefore === undefined || cpuAfter === undefined ? undefined : cpuAfter - cpuBefore,
  };
}
