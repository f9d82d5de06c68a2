import type { AutoscaleInput } from "../../options/autoscale-options.ts";
import type { Steps } from "./steps.ts";

/** A buffer as far as scaling is concerned: `@millrace/core/buffer` fits. */
export interface BufferSource {
  status(): { pendingRows: number };
}

/** Scales by the rows that wait in a buffer. */
export function bufferDepth(
  buffer: BufferSource,
  options: { rowsPerInstance: number } | { steps: Steps },
): AutoscaleInput {
  return {
    name: "buffer-depth",
    read() {
      const { pendingRows } = buffer.status();
      const reason = `${pendingRows} rows pending`;
      if ("steps" in options) return { desired: options.steps(pendingRows), exact: true, reason };
      const desired = Math.ceil(pendingRows / options.rowsPerInstance);
      return { desired, active: pendingRows > 0, reason };
    },
  };
}
