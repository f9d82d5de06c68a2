import { findViolations } from "../../src/gate/invariants.ts";
import type { Queue } from "../../src/queue.ts";

/**
 * Broken invariants of a queue that comes to rest: a run is reported as ended a moment before its slot is
 * given back, and the check is only right for a queue at rest.
 */
export async function violationsAtRest(
  queue: Pick<Queue, "partitions" | "client">,
): Promise<string[]> {
  const deadline = performance.now() + 5_000;
  for (;;) {
    const violations = await findViolations(queue);
    if (violations.length === 0 || performance.now() > deadline) return violations;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
