import type { LoadClient } from "@millrace/load";

/** A way of sending that is measured. */
export interface ClientStyle {
  name: string;
  client: LoadClient;
  connections: number;
}

/** Frames under way on each kept connection. */
export const PIPELINE_WINDOW = 64;
export const PIPELINED_CONNECTIONS = 8;
const ONE_SHOT_CONNECTIONS = 32;

/** A connection for each payload, as the official client does, and pipelining on kept ones. */
export function clientStyles(connections: number | undefined): ClientStyle[] {
  return [
    {
      name: "one-shot",
      client: { kind: "one-shot" },
      connections: connections ?? ONE_SHOT_CONNECTIONS,
    },
    {
      name: "pipelined",
      client: { kind: "pipelined", window: PIPELINE_WINDOW },
      connections: connections ?? PIPELINED_CONNECTIONS,
    },
  ];
}
