import type { SegmentLimits } from "./segments.ts";

const MIB = 1024 * 1024;

/**
 * Bounds that keep decoding well within a heap. One that overflows in native code, as JSON.parse is,
 * ends the process and not just the thread: so nothing comes near the limit. Several copies of a text
 * are alive at once, of two bytes a character; a parsed record can be 30 times as large as its line.
 */
export function segmentLimits(heap: { heapMib: number; maxInflatedBytes: number }): SegmentLimits {
  const heapBytes = heap.heapMib * MIB;
  return {
    maxInflatedBytes: heap.maxInflatedBytes,
    maxTextBytes: heapBytes / 16,
    maxRecordHeapBytes: heapBytes / 4,
    segmentLength: heapBytes / 128,
  };
}
