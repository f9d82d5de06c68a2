import { MillraceManager } from "./millrace.ts";
import { memoryOf, pause, pidsOf } from "./processes.ts";
const m = new MillraceManager();
await m.prepare("777777");
console.log("prepared", memoryOf(m.pid()));
await m.startSleepers(50);
await pause(5000);
console.log("50", memoryOf(m.pid()));
for (let i = 0; i < 20; i++) { process.kill(pidsOf(["sleep", "777777"])[0] ?? 0, "SIGKILL"); await pause(200); }
console.log("kills", memoryOf(m.pid()));
await m.stop();
