import type { Logger } from "@millrace/core";
import * as z from "zod";
import type { TokenLimits } from "../limits/token-limits.ts";
import type { ProviderAdapter } from "./provider.ts";

/** One provider of a chain. */
export interface ProviderEntry {
  name: string;
  adapter: ProviderAdapter;
  /** Account whose limits its calls count against. @default none */
  account?: string | undefined;
  /** Provider to ask when this one is limited or away. */
  fallbackTo?: string | undefined;
  /** Takes what is left when the whole chain is limited or away, where the call allows it. */
  overflow?: string | undefined;
  /** Model to ask here, by the model that was asked for; for chains across vendors. */
  models?: Record<string, string> | undefined;
  /** How often a call is tried while it fails in a way that may pass. @default 2 */
  attempts?: number | undefined;
  /** Failures in a row that open the breaker. @default 5 */
  breakAfter?: number | undefined;
  /** How long an open breaker lets nothing through, in milliseconds. @default 5_000 */
  halfOpenAfterMs?: number | undefined;
}

/** What the providers of a process share. */
export interface ProvidersOptions {
  /** Limits by account and tenant; without them only what providers answer limits. */
  limits?: TokenLimits | undefined;
  /** A wait up to this long is slept inside the slot, in milliseconds. @default 2_000 */
  maxInlineWaitMs?: number | undefined;
  /** pino-compatible. @default pino at `info` on stderr */
  logger?: Logger | undefined;
}

const entrySchema = z.strictObject({
  name: z.string().min(1),
  adapter: z.custom<ProviderAdapter>((value) => typeof value === "object" && value !== null),
  account: z.string().optional(),
  fallbackTo: z.string().optional(),
  overflow: z.string().optional(),
  models: z.record(z.string(), z.string()).optional(),
  attempts: z.int().positive().default(2),
  breakAfter: z.int().positive().default(5),
  halfOpenAfterMs: z.int().positive().default(5_000),
});

export const providerEntriesSchema = z
  .array(entrySchema)
  .min(1)
  .superRefine((entries, context) => {
    const names = new Set(entries.map(({ name }) => name));
    if (names.size < entries.length)
      context.addIssue({ code: "custom", message: "names must differ" });
    for (const [index, entry] of entries.entries()) {
      for (const field of ["fallbackTo", "overflow"] as const) {
        const target = entry[field];
        if (target === undefined || names.has(target)) continue;
        context.addIssue({
          code: "custom",
          path: [index, field],
          message: `${target} is no provider`,
        });
      }
    }
  });

export const providersOptionsSchema = z.strictObject({
  limits: z.custom<TokenLimits>().optional(),
  maxInlineWaitMs: z.int().nonnegative().default(2_000),
  logger: z.custom<Logger>().optional(),
});

export type ResolvedProviderEntry = z.output<typeof entrySchema>;
