/**
 * What became of one copy: `delivered`; `refused` by `5:ERROR` or an HTTP status; `timed_out`
 * without an answer; `broken` by a reset, an early close or an answer that is none;
 * `unreachable` when nothing was sent, so that sending it again cannot double it.
 */
export type SendResult = "delivered" | "refused" | "timed_out" | "broken" | "unreachable";

/** One way to hand a payload to an upstream. */
export interface UpstreamLink {
  /** Ends within bounds, whatever the upstream does. */
  send(payload: Uint8Array, token: string): Promise<SendResult>;
  /** Cuts off what is on its way. */
  destroy(): Promise<void>;
}
