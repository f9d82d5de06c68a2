/** Every way to lose a record, for `status()`, metrics and events. */
const DROP_REASONS = [
  "unencodable",
  "too_large",
  "buffer_full",
  "refused",
  "unanswered",
  "closed",
] as const;

/**
 * Why records were dropped:
 *
 * - `unencodable`: not an object, or JSON cannot hold it;
 * - `too_large`: its JSON is over `maxBatchBytes`;
 * - `buffer_full`: `maxBufferedBytes` was reached while the server was away or slow;
 * - `refused`: the server answered `5:ERROR` for `refusalRetryMs`;
 * - `unanswered`: sent, and the connection broke before the answer: the server may have them;
 * - `closed`: sent after `close`, or not delivered when its grace period ended.
 */
export type DropReason = (typeof DROP_REASONS)[number];

/**
 * Counts dropped records and reports them a turn of the event loop later, together: a listener may
 * itself send records that are dropped, and must not call itself for ever.
 */
export class DropTally {
  readonly counts = Object.fromEntries(DROP_REASONS.map((reason) => [reason, 0])) as Record<
    DropReason,
    number
  >;
  readonly #report: (reason: DropReason, records: number) => void;
  readonly #unreported = new Map<DropReason, number>();

  constructor(report: (reason: DropReason, records: number) => void) {
    this.#report = report;
  }

  add(reason: DropReason, records: number): void {
    this.counts[reason] += records;
    if (this.#unreported.size === 0) setImmediate(() => this.#reportAll());
    this.#unreported.set(reason, (this.#unreported.get(reason) ?? 0) + records);
  }

  #reportAll(): void {
    const reports = [...this.#unreported];
    this.#unreported.clear();
    for (const [reason, records] of reports) this.#report(reason, records);
  }
}
