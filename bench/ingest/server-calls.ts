import type { Usage } from "../process/process-usage.ts";

/** What a server under load offers the benchmark. */
export type ServerCalls = {
  start(input: ServerInput): Promise<{ port: number }>;
  /** Counts from now on. */
  begin(): void;
  end(): Served;
  stop(): Promise<void>;
};

export interface ServerInput {
  /** Where the buffer goes; a server that stores nothing has no use for it. */
  path: string;
  durability: "process" | "power";
  /** Listen for HTTP instead of frames. @default false */
  http?: boolean;
}

/** What a server did from `begin` to `end`. */
export interface Served {
  payloads: number;
  /** Group commits; 0 where nothing is stored. */
  commits: number;
  usage: Usage;
}
