import { REFUSAL_REASONS, type RefusalReason } from "./refusal.ts";

/** What the server counts while it works, in plain numbers. */
export class IngestCounters {
  connections = 0;
  socketErrors = 0;
  payloads = 0;
  payloadBytes = 0;
  pings = 0;
  readonly payloadsByToken = new Map<string, number>();
  /** Refused payloads whose token is known: counts by token, then by reason. */
  readonly refusalsByToken = new Map<string, Map<RefusalReason, number>>();
  readonly refusals = Object.fromEntries(REFUSAL_REASONS.map((reason) => [reason, 0])) as Record<
    RefusalReason,
    number
  >;

  countPayload(bytes: number, token: string): void {
    this.payloads++;
    this.payloadBytes += bytes;
    this.payloadsByToken.set(token, (this.payloadsByToken.get(token) ?? 0) + 1);
  }

  countRefusal(reason: RefusalReason, token: string | undefined): void {
    this.refusals[reason]++;
    if (token === undefined) return;
    const ofToken = this.refusalsByToken.get(token) ?? new Map<RefusalReason, number>();
    ofToken.set(reason, (ofToken.get(reason) ?? 0) + 1);
    this.refusalsByToken.set(token, ofToken);
  }
}
