import { messageOf, sleep } from "@millrace/core";
import { Cluster } from "ioredis";
import type { RedisClient } from "./redis-client.ts";

/** Slots move within moments; a queue that stands still for longer has another problem. */
const SLOT_MOVES_MS = 30_000;
const RETRY_MS = 50;

/**
 * Sends something that may be repeated, again and again while its slot moves from one server of a cluster
 * to another: scripts whose keys are spread over both are refused then.
 */
export function throughSlotMove<Reply>(
  client: RedisClient,
  send: () => Promise<Reply>,
): Promise<Reply> {
  const sent = send();
  if (!(client instanceof Cluster)) return sent;
  return sent.catch(async (error: unknown) => {
    let failure = error;
    const deadline = performance.now() + SLOT_MOVES_MS;
    while (isSlotMoving(failure) && performance.now() < deadline) {
      await sleep(RETRY_MS);
      try {
        return await send();
      } catch (again) {
        failure = again;
      }
    }
    throw failure;
  });
}

function isSlotMoving(error: unknown): boolean {
  return /non local key|TRYAGAIN|Too many Cluster redirections/.test(messageOf(error));
}
