import { type SketchBins, sketchText } from "./sketch.ts";

/** What one record adds to a cell. */
export interface RollupSample {
  /** The record's moment, in microseconds since 1970. */
  readonly microseconds: number;
  readonly isError: boolean;
  readonly duration: number | undefined;
  /** Of the duration. */
  readonly bin: number;
}

/** What a batch adds to one row of a rollup. */
export class RollupCell {
  /** Moment of the latest record, in microseconds since 1970. */
  lastSeenAt = Number.NEGATIVE_INFINITY;
  latest: ReadonlyArray<string | null> = [];
  #occurrences = 0;
  #errors = 0;
  #durations = 0;
  #sum = 0;
  /** What of the sum a number cannot hold exactly. */
  #largeSum = 0n;
  #min = Number.POSITIVE_INFINITY;
  #max = Number.NEGATIVE_INFINITY;
  readonly #bins: SketchBins = new Map();

  add({ isError, duration, bin }: RollupSample): void {
    this.#occurrences++;
    if (isError) this.#errors++;
    if (duration === undefined) return;
    this.#durations++;
    const sum = this.#sum + duration;
    if (Number.isSafeInteger(sum)) {
      this.#sum = sum;
    } else {
      this.#largeSum += BigInt(this.#sum);
      this.#sum = duration;
    }
    if (duration < this.#min) this.#min = duration;
    if (duration > this.#max) this.#max = duration;
    this.#bins.set(bin, (this.#bins.get(bin) ?? 0) + 1);
  }

  get occurrences(): string {
    return String(this.#occurrences);
  }

  get errors(): string {
    return String(this.#errors);
  }

  /** Count, sum, minimum, maximum and sketch. */
  durationValues(): Array<string | null> {
    if (this.#durations === 0) return ["0", "0", null, null, null];
    return [
      String(this.#durations),
      String(this.#largeSum + BigInt(this.#sum)),
      String(this.#min),
      String(this.#max),
      sketchText(this.#bins),
    ];
  }
}
