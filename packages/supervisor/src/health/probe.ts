/** Answer of one probe. */
export interface ProbeAnswer {
  passed: boolean;
  /** One line on what was wrong; set when not passed. */
  reason?: string | undefined;
}

/** Asks once; never rejects. `signal` fires at the timeout. */
export type Probe = (signal: AbortSignal) => Promise<ProbeAnswer>;
