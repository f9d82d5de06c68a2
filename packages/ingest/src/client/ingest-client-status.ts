import type { DropReason } from "./drop-tally.ts";
import type { ClientConnectionState } from "./sender.ts";

/** Counters of a client. At any moment `sentRecords` is the sum of the other record counts. */
export interface IngestClientStatus {
  connection: ClientConnectionState;
  /** Given to `send`. */
  sentRecords: number;
  /** Stored by the server, as it said. */
  acknowledgedRecords: number;
  droppedRecords: Record<DropReason, number>;
  /** Not yet acknowledged. */
  bufferedRecords: number;
  bufferedBytes: number;
  /** On their way: sent and not yet answered. */
  unansweredBatches: number;
  /** Answers of `5:ERROR`, also those after which a batch was tried again. */
  refusedBatches: number;
}
