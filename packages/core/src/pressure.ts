import type { CloseOptions, Component, Health, StartOptions } from "./component.ts";
import { parseOptions } from "./config.ts";
import { TypedEmitter, type Listener } from "./events.ts";
import { Lifecycle } from "./lifecycle.ts";
import { defaultLogger } from "./logger.ts";
import { defaultMetrics, publishMetric } from "./metrics.ts";
import { type PressureOptions, pressureOptionsSchema } from "./pressure-options.ts";

/** `closed` means take nothing new, `throttled` means slow down. */
export type PressureState = "open" | "throttled" | "closed";

/** What a pressure tells its listeners. */
export type PressureEvents = {
  /** When the state changes; `source` is the one with the highest utilisation. */
  change: { from: PressureState; to: PressureState; source: string; utilisation: number };
};

/** One answer to "may more work come in?", shared by servers, workers and autoscalers. */
export interface Pressure extends Component {
  readonly pressure: PressureState;
  /** The highest utilisation at the last reading. */
  readonly utilisation: number;
  /** Reads the sources now instead of waiting for the next interval. */
  sample(): PressureState;
  on<Name extends keyof PressureEvents>(
    event: Name,
    listener: Listener<PressureEvents[Name]>,
  ): () => void;
}

/**
 * The next state: closes at `high`, opens again only below `low`; half-way between them an open
 * state turns `throttled`.
 */
export function nextPressureState(
  current: PressureState,
  utilisation: number,
  limits: { high: number; low: number },
): PressureState {
  if (utilisation >= limits.high) return "closed";
  if (utilisation < limits.low) return "open";
  if (current !== "open") return current;
  return utilisation >= (limits.low + limits.high) / 2 ? "throttled" : "open";
}

/**
 * Watches sources of load and says `open`, `throttled` or `closed`, with hysteresis.
 *
 * @throws `CONFIG_INVALID` for bad options.
 * @example
 * ```ts
 * import { createPressure, eventLoopSource, heapSource } from "@millrace/core";
 *
 * const pressure = createPressure({ sources: [eventLoopSource({ limitMs: 200 }), heapSource()] });
 * pressure.on("change", ({ to, source }) => console.log(`${source} made it ${to}`));
 * ```
 */
export function createPressure(options: PressureOptions): Pressure {
  const { sources, high, low, intervalMs, ...rest } = parseOptions(
    pressureOptionsSchema,
    options,
    "createPressure",
  );
  const logger = rest.logger ?? defaultLogger();
  const metrics = rest.metrics ?? defaultMetrics;
  const emitter = new TypedEmitter<PressureEvents>((error) =>
    logger.error({ err: error }, "a pressure listener threw"),
  );
  let state: PressureState = "open";
  let utilisation = 0;
  // A scrape shows the last reading: reading a source may reset what it measures.
  const lastValues = new Map<string, number>();

  const sample = (): PressureState => {
    let source = "none";
    utilisation = 0;
    for (const candidate of sources) {
      const value = candidate.utilisation();
      lastValues.set(candidate.name, value);
      if (!(value > utilisation)) continue;
      utilisation = value;
      source = candidate.name;
    }
    const to = nextPressureState(state, utilisation, { high, low });
    if (to !== state) {
      const from = state;
      state = to;
      logger.info({ from, to, source, utilisation }, "pressure changed");
      emitter.emit("change", { from, to, source, utilisation });
    }
    return state;
  };

  const lifecycle = new Lifecycle({
    name: "pressure",
    open(closers) {
      sample();
      const timer = setInterval(sample, intervalMs);
      timer.unref();
      closers.push(() => clearInterval(timer));
      closers.push(
        publishMetric(
          metrics,
          {
            type: "gauge",
            name: "millrace_pressure_utilisation",
            help: "Utilisation of each backpressure source; 1 is its limit.",
            labelNames: ["source"],
          },
          () => Array.from(lastValues, ([source, value]) => ({ labels: { source }, value })),
        ),
      );
    },
  });

  return {
    name: "pressure",
    get state() {
      return lifecycle.state;
    },
    get pressure() {
      return state;
    },
    get utilisation() {
      return utilisation;
    },
    sample,
    on: (event, listener) => emitter.on(event, listener),
    start: (startOptions?: StartOptions) => lifecycle.start(startOptions),
    close: (closeOptions?: CloseOptions) => lifecycle.close(closeOptions),
    closed: lifecycle.closed,
    health: (): Health =>
      state === "closed"
        ? { healthy: false, reason: `pressure is closed at utilisation ${utilisation.toFixed(2)}` }
        : { healthy: true },
    [Symbol.asyncDispose]: () => lifecycle.close(),
  };
}
