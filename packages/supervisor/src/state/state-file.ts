import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import * as z from "zod";

const stateSchema = z.object({
  version: z.literal(1),
  bootId: z.string(),
  processes: z.record(
    z.string(),
    z.object({
      configured: z.int(),
      desired: z.int(),
      stopped: z.boolean().default(false),
      scheduledAtMs: z.number().optional(),
    }),
  ),
  instances: z.array(
    z.object({
      process: z.string(),
      number: z.int().positive(),
      pid: z.int().positive(),
      startTicks: z.number(),
    }),
  ),
});

/** What a supervisor leaves for the next one. */
export type SupervisorState = z.output<typeof stateSchema>;

/** Reads a state file; one that is missing, cut short or not ours says nothing. */
export function readState(path: string): SupervisorState | undefined {
  try {
    return stateSchema.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch {
    return undefined;
  }
}

/** Replaces a state file in one step: a reader sees the old or the new one, never half of one. */
export function writeState(path: string, state: SupervisorState): void {
  mkdirSync(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}.tmp`;
  writeFileSync(temporary, JSON.stringify(state), { mode: 0o600 });
  renameSync(temporary, path);
}
