import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { LoadResult } from "./load-tally.ts";

/**
 * How payloads are sent: `one-shot` opens a connection for each, as the official client does;
 * `pipelined` keeps connections with `window` frames under way on each, or sends `ratePerSecond` on all of
 * them together and no more than that under way; `http` keeps connections with
 * one request under way on each, of as many records.
 */
export type LoadClient =
  | { kind: "one-shot" }
  | { kind: "pipelined"; window: number; ratePerSecond?: number | undefined }
  | { kind: "http"; records: number; format: "json" | "ndjson" };

/** What a load generator is told. */
export interface LoadInput {
  host: string;
  port: number;
  token: string;
  /** Starts the mark of each record; see `createPayloadStamper`. */
  run: string;
  client: LoadClient;
  /** Connections at a time. */
  connections: number;
  seconds: number;
}

export type LoadReply = { result: LoadResult } | { error: string };

/** A process that sends payloads as fast as they are answered, or as it was told to. */
export interface LoadGenerator {
  /** Makes load for {@link LoadInput.seconds}; one load at a time. */
  run(input: LoadInput): Promise<LoadResult>;
  close(): Promise<void>;
}

/** Starts a load generator in a process of its own, which ends with this one. */
export function startLoadGenerator(): LoadGenerator {
  const child = fork(fileURLToPath(import.meta.resolve("@millrace/load/load-process")));
  const exited = once(child, "exit");
  return {
    async run(input) {
      child.send(input);
      const [reply] = (await Promise.race([
        once(child, "message"),
        exited.then(() => [{ error: "the load generator ended without a result" }]),
      ])) as [LoadReply];
      if ("error" in reply) throw new Error(reply.error);
      return reply.result;
    },
    async close() {
      if (child.connected) child.disconnect();
      await exited;
    },
  };
}
