import type { CompiledTable } from "../encode/compiled-table.ts";
import { CopyTextBuffer } from "./copy-text-buffer.ts";

/** Larger ones are not kept: a table may have them once and never again. */
const MAX_KEPT_BYTES = 1024 * 1024;

/**
 * A buffer for each table, used again for every batch. Memory outside the heap counts for the garbage
 * collector too: new buffers for each batch made it go through the whole heap every other batch.
 */
export class CopyTextPool {
  readonly #spare = new Map<CompiledTable, CopyTextBuffer>();

  /** An empty one. */
  take(table: CompiledTable): CopyTextBuffer {
    const text = this.#spare.get(table) ?? new CopyTextBuffer();
    this.#spare.delete(table);
    return text;
  }

  /** Gives one back that nobody reads any more. */
  giveBack(table: CompiledTable, text: CopyTextBuffer): void {
    if (text.capacityBytes > MAX_KEPT_BYTES) return;
    text.clear();
    this.#spare.set(table, text);
  }
}
