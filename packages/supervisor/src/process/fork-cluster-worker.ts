import type { ChildProcess } from "node:child_process";
import type { Cluster } from "node:cluster";
import type { ClusterModule, LaunchPlan } from "./launch-plan.ts";

/** Starts a worker of this process's cluster: where it listens on a port, all of them do. */
export function forkClusterWorker(module: ClusterModule, plan: LaunchPlan): ChildProcess {
  // Only who asks for a cluster loads it; what this gives is the module's default export.
  const cluster = process.getBuiltinModule("node:cluster") as unknown as Cluster;
  // Round-robin loses a connection that is handed to a worker on its way out; with this policy the
  // kernel keeps it for the next one. It holds unless the program has made a cluster of its own.
  cluster.schedulingPolicy = cluster.SCHED_NONE;
  const place = { cwd: plan.cwd, uid: plan.uid, gid: plan.gid };
  // Settings hold for the process and merge with earlier ones: each fork has to name them all.
  cluster.setupPrimary({
    ...module,
    silent: true,
    stdio: ["ignore", "pipe", "pipe", "ipc"],
    serialization: "json",
    ...place,
  });
  // The cluster adds its own environment to that of its workers.
  const removed = Object.keys(process.env).filter((name) => !(name in plan.env));
  const env = { ...plan.env, ...Object.fromEntries(removed.map((name) => [name, undefined])) };
  const worker = cluster.fork(env);
  // What can't be sent to a worker that is ending is no error of ours; its end is reported.
  worker.on("error", () => {});
  return worker.process;
}
