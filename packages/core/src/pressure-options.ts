import * as z from "zod";
import { type Logger } from "./logger.ts";
import type { MetricsRegistry } from "./metrics.ts";

/** Something whose utilisation can be read. */
export interface PressureSource {
  /** For metrics and logs: `buffer`, `event-loop`, `heap`. */
  readonly name: string;
  /** 0 is idle, 1 is at its limit, above 1 is over it. Must be cheap and must not throw. */
  utilisation(): number;
}

/** Options of {@link createPressure}. */
export interface PressureOptions {
  /** What is watched; the highest utilisation counts. */
  sources: PressureSource[];
  /** Utilisation from which the state is `closed`. @default 0.9 */
  high?: number | undefined;
  /** Utilisation below which the state is `open` again. @default 0.7 */
  low?: number | undefined;
  /** How often sources are read, in milliseconds. @default 250 */
  intervalMs?: number | undefined;
  /** pino-compatible. @default pino at `info` on stderr */
  logger?: Logger | undefined;
  /** @default the process's prom-client registry */
  metrics?: MetricsRegistry | undefined;
}

/** Validates {@link PressureOptions} and fills in defaults. */
export const pressureOptionsSchema = z
  .strictObject({
    sources: z.array(
      z.custom<PressureSource>(
        (value) => typeof value === "object" && value !== null && "utilisation" in value,
        "expected { name, utilisation() }",
      ),
    ),
    high: z.number().positive().default(0.9),
    low: z.number().positive().default(0.7),
    intervalMs: z.int().positive().default(250),
    logger: z.custom<Logger>().optional(),
    metrics: z.custom<MetricsRegistry>().optional(),
  })
  .refine(({ high, low }) => low < high, { path: ["low"], error: "low must be below high" });
