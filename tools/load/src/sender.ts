import { once } from "node:events";
import { Worker } from "node:worker_threads";

/** What a sender thread is told. */
export interface SenderInput {
  host: string;
  port: number;
  token: string;
  /** Marks its records; see `createTraffic`. */
  run: string;
  seed: number;
  seconds: number;
  /** Payloads a second; 0 sends as fast as the connections answer. */
  rate: number;
  /** Connections at a time, each for one payload. */
  connections: number;
}

/** How far a sender is. */
export interface SenderProgress {
  sent: number;
  acknowledged: number;
  acknowledgedRecords: number;
  refused: number;
  unreachable: number;
  unknown: number;
}

/** Everything a sender did. */
export interface SenderResult extends SenderProgress {
  /** Marks of the records in acknowledged payloads: these must land. */
  acknowledgedMarks: string[];
  /** Marks of the records in payloads whose fate is unknown: these may land. */
  unknownMarks: string[];
}

/** Runs a sender in a thread of its own. */
export function startSender(
  input: SenderInput,
  onProgress: (progress: SenderProgress) => void = () => {},
): { stop(): void; result: Promise<SenderResult> } {
  const thread = new Worker(new URL(import.meta.resolve("@millrace/load/sender")), {
    workerData: input,
  });
  const result = new Promise<SenderResult>((resolve, reject) => {
    thread.on("error", reject);
    thread.on("message", (message: SenderProgress | SenderResult) => {
      if ("acknowledgedMarks" in message) resolve(message);
      else onProgress(message);
    });
    void once(thread, "exit").then(() => reject(new Error("the sender ended without a result")));
  });
  return { stop: () => thread.postMessage("stop"), result };
}
