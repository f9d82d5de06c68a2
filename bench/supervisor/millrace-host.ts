// The smallest program with a supervisor in it. Prints the address of its API once all run.
import { runUntilSignal, silentLogger } from "@millrace/core";
import { createSupervisor, type ProcessOptions } from "@millrace/supervisor";

const app = JSON.parse(process.argv[2] ?? "{}") as ProcessOptions;
const supervisor = createSupervisor({
  processes: { app },
  api: { port: 0, requestsPerSecond: 1_000 },
  logger: silentLogger,
});
await runUntilSignal([supervisor], {
  onReady: () => {
    void supervisor.whenReady().then(() => process.stdout.write(`${supervisor.status().apiUrl}\n`));
  },
});
