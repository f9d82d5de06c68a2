import type { TaskPriority } from "./task.ts";

/** A task to add. */
export interface NewTask<Input> {
  tenantId: string;
  data: Input;
  /** @default "normal" */
  priority?: TaskPriority | undefined;
  /**
   * Id of the task; adding it again while it is kept changes nothing. Must not be a whole number, nor
   * contain a colon, nor be what BullMQ calls one of its own keys, such as `meta`. @default a random UUID
   */
  jobId?: string | undefined;
  /** Not before this many milliseconds from now; 0 or less is at once. @default 0 */
  delayMs?: number | undefined;
  /** One task per key and window, whatever their ids, also after the first has finished and gone; in whole milliseconds. */
  deduplication?: { key: string; windowMs: number } | undefined;
  /** Tries, the first included. @default the queue's */
  attempts?: number | undefined;
  /** Names that every log line of the task carries, such as `campaignId`. */
  labels?: Record<string, string> | undefined;
  /** BullMQ's parent, for flows under one hash tag. */
  parent?: { id: string; queue: string } | undefined;
}

/** What was added. */
export interface AddedTask {
  taskId: string;
  /** True when the task was there already, or a deduplication window answered. */
  isDuplicate: boolean;
}
