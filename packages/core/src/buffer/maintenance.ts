import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { Logger } from "../logger.ts";
import type { MaintenanceData, MaintenanceMessage } from "./maintenance-worker.ts";
import { isWalLarge } from "./wal-size.ts";

const YOUNG_GENERATION_MIB = 1;

/**
 * Starts the thread that checkpoints a buffer file and gives its free space back. Resolves once it
 * has made an overgrown WAL small.
 *
 * @param onDamage hears of damage that the thread met.
 * @returns a function that stops it.
 */
export async function startMaintenance(
  { path, durability }: MaintenanceData,
  logger: Logger,
  onDamage: (reason: string) => void,
): Promise<() => Promise<void>> {
  let isStopping = false;
  let worker: Worker;
  const spawn = (): Worker => {
    const data: MaintenanceData = { path, durability };
    const started = new Worker(new URL(import.meta.resolve("@millrace/core/buffer/maintenance")), {
      workerData: data,
      name: "millrace-buffer-maintenance",
      // It has next to no garbage: see docs/decisions/0016.
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MIB },
    });
    started.on("message", (message: MaintenanceMessage) => {
      if (message.type === "damaged") onDamage(message.error);
      if (message.type === "put off") logger.debug(message, "buffer maintenance was put off");
    });
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
  await (isWalLarge(path) ? firstNews(worker) : once(worker, "online"));
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

/** Resolves with its first message or its end: without maintenance a buffer still does its work. */
function firstNews(worker: Worker): Promise<void> {
  return new Promise((resolve) => {
    worker.once("message", () => resolve());
    worker.once("exit", () => resolve());
  });
}
