import { monitorEventLoopDelay } from "node:perf_hooks";
import { getHeapStatistics } from "node:v8";
import type { PressureSource } from "./pressure-options.ts";

const RESOLUTION_MS = 10;

/** Delay of the event loop's timers, 99th percentile since the last reading, against `limitMs`. */
export function eventLoopSource({
  limitMs = 200,
}: { limitMs?: number | undefined } = {}): PressureSource {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  let isEnabled = false;
  return {
    name: "event-loop",
    utilisation() {
      if (!isEnabled) {
        isEnabled = histogram.enable();
        return 0;
      }
      // The histogram holds the time between timers, which is the resolution when nothing delays them.
      const delayMs = histogram.percentile(99) / 1e6 - RESOLUTION_MS;
      histogram.reset();
      return Number.isFinite(delayMs) ? Math.max(0, delayMs) / limitMs : 0;
    },
  };
}

/** V8 heap in use against the heap limit of the process. */
export function heapSource(): PressureSource {
  return {
    name: "heap",
    utilisation() {
      const { used_heap_size: used, heap_size_limit: limit } = getHeapStatistics();
      return used / limit;
    },
  };
}
