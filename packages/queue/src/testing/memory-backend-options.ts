import * as z from "zod";

/** Options of {@link createMemoryBackend}. */
export interface MemoryBackendOptions {
  /** What its clock says at first, in Unix milliseconds. @default the time of the call */
  startAt?: number | undefined;
}

export const memoryBackendOptionsSchema = z.strictObject({
  startAt: z.int().nonnegative().optional(),
});
