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
  let lastReadAt = 0;
  let delayMs = 0;
  return {
    name: "event-loop",
    utilisation() {
      const now = performance.now();
      const sinceReadMs = now - lastReadAt;
      if (!isEnabled) {
        isEnabled = histogram.enable();
      } else if (histogram.count > 0) {
        // It holds the time between timers, which is the resolution when nothing delays them.
        delayMs = histogram.percentile(99) / 1e6 - RESOLUTION_MS;
        histogram.reset();
      } else if (sinceReadMs > 2 * RESOLUTION_MS) {
        // A reset forgets the last timer, so a loop that turns once a reading never records a delay.
        delayMs = sinceReadMs - RESOLUTION_MS;
      } else {
        return Math.max(0, delayMs) / limitMs;
      }
      lastReadAt = now;
      return Math.max(0, delayMs) / limitMs;
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
