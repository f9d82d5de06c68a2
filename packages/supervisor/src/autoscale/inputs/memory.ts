import { MillraceError } from "@millrace/core";
import { availableMemory } from "../../cgroup/cgroup-limits.ts";
import { parseByteSize } from "../../options/byte-size.ts";
import type { AutoscaleInput } from "../../options/autoscale-options.ts";

/** How much memory there is for instances. */
export interface MemoryInputOptions {
  /** Memory that one instance needs, as `"400MB"`. */
  perInstance: number | string;
  /** Memory for all of them. @default 80 percent of the container's or host's */
  budget?: number | string | undefined;
}

/**
 * Keeps instances within a memory budget: a bound for the other inputs, by the larger of what an
 * instance is said to need and what it takes.
 *
 * @throws {@link MillraceError} `CONFIG_INVALID` for sizes that are none.
 */
export function memory({ perInstance, budget }: MemoryInputOptions): AutoscaleInput {
  const declared = bytesOf(perInstance, "perInstance");
  const total = budget === undefined ? undefined : bytesOf(budget, "budget");
  return {
    name: "memory",
    read({ residentBytes, ready }) {
      const budgetBytes = total ?? availableMemory() * 0.8;
      const measured = residentBytes === undefined || ready === 0 ? 0 : residentBytes / ready;
      const each = Math.max(declared, measured);
      const max = Math.max(1, Math.floor(budgetBytes / each));
      return {
        max,
        reason: `${megabytes(budgetBytes)} MB for instances of ${megabytes(each)} MB`,
      };
    },
  };
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 1e6);
}

function bytesOf(size: number | string, option: string): number {
  const bytes = parseByteSize(size);
  if (bytes !== undefined) return bytes;
  throw new MillraceError(
    "CONFIG_INVALID",
    `memory(): ${option} is ${JSON.stringify(size)}, expected bytes, as '400MB'`,
  );
}
