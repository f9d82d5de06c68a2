import type { AddedTask } from "../new-task.ts";
import type { KeptQueue } from "./kept-queue.ts";

/** Stores one task per key and window, if there is a key; later ones are answered with the first. */
export function once(
  { once: windows, clock }: KeptQueue,
  key: { tenantId: string; key: string; windowMs: number } | undefined,
  store: () => AddedTask,
): AddedTask {
  if (!key) return store();
  const name = `${key.tenantId}:${key.key}`;
  const first = windows.get(name);
  if (first && first.until > clock.now()) return { taskId: first.taskId, isDuplicate: true };
  const added = store();
  windows.set(name, { taskId: added.taskId, until: clock.now() + key.windowMs });
  return added;
}
