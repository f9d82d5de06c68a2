import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createMemoryLogger, waitFor } from "@millrace/core/testing";
import { expect, test } from "vitest";
import { startSupervisor } from "../fixtures/start-supervisor.ts";
import { temporaryFolder } from "../fixtures/temporary-folder.ts";

const processes = { worker: { command: ["sleep", "1000"] } };

test("a start is refused where the state file cannot be written", async () => {
  const notAFolder = join(temporaryFolder(), "file");
  writeFileSync(notAFolder, "");
  const start = startSupervisor({ processes, state: { file: join(notAFolder, "state.json") } });
  await expect(start).rejects.toMatchObject({ code: "SUPERVISOR_STATE_NOT_WRITABLE" });
});

test("a state file that cannot be written any more is a warning, and what runs goes on", async () => {
  const file = join(temporaryFolder(), "state.json");
  const logger = createMemoryLogger();
  const supervisor = await startSupervisor({ processes, state: { file }, logger });
  const complaint = () => logger.lines.find(({ message }) => message.includes("state file"));
  await waitFor(() => existsSync(file));
  rmSync(file);
  mkdirSync(file);
  await supervisor.scale("worker", 2).done;
  await waitFor(complaint);
  expect(complaint()).toMatchObject({ level: "warn" });
  expect(supervisor.state).toBe("running");

  rmSync(file, { recursive: true });
  await supervisor.scale("worker", 3).done;
  await waitFor(() => existsSync(file) && readFileSync(file, "utf8").includes('"desired":3'));
});
