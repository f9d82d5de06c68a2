import { MillraceError } from "@millrace/core";
import type { RefusalReason } from "./refusal.ts";

/** Why the buffer did not take a payload. */
export function storeRefusal(error: unknown): RefusalReason {
  const code = MillraceError.is(error) ? error.code : undefined;
  if (code === "BUFFER_FULL") return "buffer_full";
  if (code === "BUFFER_DISK_LOW") return "disk_low";
  return code === "BUFFER_CLOSED" ? "buffer_closed" : "write_failed";
}
