import type { Logger, LogThrottle, TypedEmitter } from "@millrace/core";
import type { IngestCounters, Transport } from "./ingest-counters.ts";
import type { IngestEvents, Refusal } from "./ingest-handle.ts";
import { type RefusalKind, REFUSALS } from "./refusal.ts";

export interface RefusalReportsOptions {
  counters: IngestCounters;
  logger: Logger;
  throttle: LogThrottle;
  emitter: TypedEmitter<IngestEvents>;
}

/** Tells about refusals in all three ways: metrics, log, events. */
export class RefusalReports {
  readonly #options: RefusalReportsOptions;

  constructor(options: RefusalReportsOptions) {
    this.#options = options;
  }

  report(refusal: Refusal, transport: Transport): void {
    const { counters, logger, throttle, emitter } = this.#options;
    const { reason, token } = refusal;
    const { subject, message, level }: RefusalKind = REFUSALS[reason];
    counters.countRefusal(reason, token, transport);
    const text = `${subject} refused: ${message}`;
    if (level === "debug") logger.debug(refusal, text);
    else throttle.warn(reason, () => refusal, text);
    emitter.emit(`${subject}:refused`, refusal);
  }
}
