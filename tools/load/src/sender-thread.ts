import { setTimeout as delay } from "node:timers/promises";
import { parentPort, workerData } from "node:worker_threads";
import { encodeFrame, hashToken } from "./frame.ts";
import { sendOnce } from "./one-shot-client.ts";
import type { SenderInput, SenderProgress, SenderResult } from "./sender.ts";
import { createTraffic } from "./traffic.ts";

const PROGRESS_INTERVAL_MS = 100;

const input = workerData as SenderInput;
const progress: SenderProgress = {
  sent: 0,
  acknowledged: 0,
  acknowledgedRecords: 0,
  refused: 0,
  unreachable: 0,
  unknown: 0,
};
const acknowledgedMarks: string[] = [];
const unknownMarks: string[] = [];
const tokenHash = await hashToken(input.token);
const traffic = createTraffic({ seed: input.seed, run: input.run });
const startedAt = performance.now();
const endsAt = startedAt + input.seconds * 1_000;
let isStopped = false;
parentPort?.once("message", () => {
  isStopped = true;
});

const timer = setInterval(() => parentPort?.postMessage(progress), PROGRESS_INTERVAL_MS);
await Promise.all(Array.from({ length: input.connections }, sendInTurn));
clearInterval(timer);
const result: SenderResult = { ...progress, acknowledgedMarks, unknownMarks };
parentPort?.postMessage(result);
parentPort?.close();

async function sendInTurn(): Promise<void> {
  while (!isStopped && performance.now() < endsAt) {
    if (input.rate > 0) {
      const dueAt = startedAt + (progress.sent / input.rate) * 1_000;
      const waitMs = dueAt - performance.now();
      if (waitMs > 0) {
        await delay(Math.min(waitMs, 50));
        continue;
      }
    }
    progress.sent++;
    const { body, marks } = traffic.next();
    const outcome = await sendOnce(input, encodeFrame(body, tokenHash));
    progress[outcome]++;
    if (outcome === "acknowledged") {
      progress.acknowledgedRecords += marks.length;
      acknowledgedMarks.push(...marks);
    } else if (outcome === "unknown") {
      unknownMarks.push(...marks);
    }
    // A server that is away must not turn this loop into a busy one.
    if (outcome === "unreachable") await delay(20);
  }
}
