import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { Logger } from "../logger.ts";
import type { MaintenanceData } from "./maintenance-worker.ts";

/**
 * Starts the thread that checkpoints a buffer file and gives its free space back.
 *
 * @returns a function that stops it.
 */
export async function startMaintenance(
  { path, durability }: MaintenanceData,
  logger: Logger,
): Promise<() => Promise<void>> {
  let isStopping = false;
  let worker: Worker;
  const spawn = (): Worker => {
    const data: MaintenanceData = { path, durability };
    const started = new Worker(new URL(import.meta.resolve("@millrace/core/buffer/maintenance")), {
      workerData: data,
      name: "millrace-buffer-maintenance",
    });
    started.on("message", (message) => logger.debug({ message }, "buffer maintenance was put off"));
    started.on("error", (error) => logger.error({ err: error }, "buffer maintenance failed"));
    started.on("exit", () => {
      if (isStopping) return;
      const timer = setTimeout(() => {
        if (isStopping) return;
        worker = spawn();
        worker.unref();
      }, 1_000);
      timer.unref();
    });
    return started;
  };
  worker = spawn();
  await once(worker, "online");
  worker.unref();
  return () => {
    isStopping = true;
    if (worker.threadId === -1) return Promise.resolve();
    const stopped = new Promise<void>((resolve) => worker.once("exit", () => resolve()));
    worker.ref();
    worker.postMessage("stop");
    return stopped;
  };
}
