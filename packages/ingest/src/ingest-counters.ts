import { REFUSAL_REASONS, type RefusalReason } from "./refusal.ts";

/** What the server counts while it works, in plain numbers. */
export class IngestCounters {
  connections = 0;
  socketErrors = 0;
  payloads = 0;
  payloadBytes = 0;
  pings = 0;
  readonly payloadsByToken = new Map<string, number>();
  readonly refusals = Object.fromEntries(REFUSAL_REASONS.map((reason) => [reason, 0])) as Record<
    RefusalReason,
    number
  >;

  countPayload(bytes: number, token: string): void {
    this.payloads++;
    this.payloadBytes += bytes;
    this.payloadsByToken.set(token, (this.payloadsByToken.get(token) ?? 0) + 1);
  }
}
