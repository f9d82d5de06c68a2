// The smallest program with a supervisor in it, on the built packages. Prints the address of its API
// once all instances run. JavaScript, because stripping types costs memory that nobody has installed.
import { runUntilSignal, silentLogger } from "@millrace/core";
import { createSupervisor } from "@millrace/supervisor";

const supervisor = createSupervisor({
  processes: { app: JSON.parse(process.argv[2] ?? "{}") },
  api: { port: 0, requestsPerSecond: 1_000 },
  logger: silentLogger,
});
await runUntilSignal([supervisor], {
  onReady: () => {
    void supervisor.whenReady().then(() => process.stdout.write(`${supervisor.status().apiUrl}\n`));
  },
});
