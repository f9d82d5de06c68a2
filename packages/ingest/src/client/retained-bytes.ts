/** What keeping something costs besides its bytes: the objects around them. An estimate. */
export const OBJECT_OVERHEAD_BYTES = 256;

/** Bytes to keep for a while, and what keeping them really costs. */
export interface RetainedBytes {
  bytes: Uint8Array;
  heldBytes: number;
}

/**
 * Readies bytes for being kept. A view keeps the whole memory that it is a view of: a payload of
 * 200 bytes out of a 64 KiB read holds 64 KiB. So less than half of its memory is copied out, and
 * the rest is accounted for with all that it holds.
 */
export function retainBytes(view: Uint8Array): RetainedBytes {
  const wholeBytes = view.buffer.byteLength;
  if (view.byteLength * 2 >= wholeBytes) {
    return { bytes: view, heldBytes: wholeBytes + OBJECT_OVERHEAD_BYTES };
  }
  // `Buffer.from` would take small copies from a pool, which is a view of something larger again.
  const copy = Buffer.allocUnsafeSlow(view.byteLength);
  copy.set(view);
  return { bytes: copy, heldBytes: copy.byteLength + OBJECT_OVERHEAD_BYTES };
}
