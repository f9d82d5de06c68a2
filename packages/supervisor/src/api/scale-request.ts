import * as z from "zod";

const steps = {
  step: z.int().positive().optional().describe("Instances per step."),
  delayMs: z.number().min(0).max(3_600_000).optional().describe("Pause between steps."),
};

/** The body of a change of scale. */
export const scaleRequestSchema = z.union([
  z.strictObject({ desired: z.int().min(0), ...steps }),
  z.strictObject({ delta: z.int(), ...steps }),
]);
