import { createHash } from "node:crypto";

/**
 * Which of some partitions a tenant belongs to, by rendezvous hashing (Thaler and Ravishankar, 1998): one
 * partition more takes a fair share from each of the others and moves nobody between those.
 */
export function rendezvous(tenantId: string, partitions: readonly string[]): string {
  let best = "";
  let highest = -1;
  for (const partition of partitions) {
    const score = createHash("sha256")
      .update(`${partition}\n${tenantId}`)
      .digest()
      .readUIntBE(0, 6);
    if (score > highest) [best, highest] = [partition, score];
  }
  return best;
}
