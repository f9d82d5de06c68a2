import type { Job } from "bullmq";
import type { Gate } from "../gate/gate.ts";
import { startLimit } from "./final-failures.ts";

/** Of the job hash: starts that ended in order without ending the task. */
export const PUT_OFF_FIELD = "po";

/**
 * Fails a task that was started too often and never came to an end: it may be what kills its workers.
 * A start that was put off, by a rate limit for one, is none of these.
 */
export async function assertStartsLeft(job: Job, gate: Gate, maxStarts: number): Promise<void> {
  if (job.attemptsStarted <= maxStarts) return;
  const putOff = await gate.client.hget(`${gate.keys.bullmq}${job.id}`, PUT_OFF_FIELD);
  if (job.attemptsStarted - Number(putOff ?? 0) > maxStarts) throw startLimit(maxStarts);
}
