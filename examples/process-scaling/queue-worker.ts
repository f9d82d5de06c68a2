// A queue worker: says who it is, works, and finishes its job before it ends.
import { connectSupervisor } from "@millrace/supervisor/child";

const supervisor = connectSupervisor({ onDrain: () => console.log("finished the job in hand") });
console.log(
  `worker ${supervisor.instanceNumber} (${supervisor.instanceId}) ${process.argv[2] ?? ""}`,
);
supervisor.ready();
setInterval(() => {}, 1_000_000);
