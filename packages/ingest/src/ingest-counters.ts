import { REFUSAL_REASONS, type RefusalReason } from "./refusal.ts";

/** How a payload came; `tcp` with TLS and over a Unix socket too. */
export type Transport = "tcp" | "http" | "udp";

/** What the server counts while it works, in plain numbers. */
export class IngestCounters {
  connections = 0;
  socketErrors = 0;
  payloads = 0;
  payloadBytes = 0;
  pings = 0;
  readonly payloadsByTransport: Record<Transport, number> = { tcp: 0, http: 0, udp: 0 };
  readonly payloadsByToken = new Map<string, number>();
  /** Refused payloads whose token is known: counts by token, then by reason. */
  readonly refusalsByToken = new Map<string, Map<RefusalReason, number>>();
  readonly refusalsByTransport: Record<Transport, Map<RefusalReason, number>> = {
    tcp: new Map(),
    http: new Map(),
    udp: new Map(),
  };
  readonly refusals = Object.fromEntries(REFUSAL_REASONS.map((reason) => [reason, 0])) as Record<
    RefusalReason,
    number
  >;

  countPayload(bytes: number, token: string, transport: Transport = "tcp"): void {
    this.payloads++;
    this.payloadsByTransport[transport]++;
    this.payloadBytes += bytes;
    this.payloadsByToken.set(token, (this.payloadsByToken.get(token) ?? 0) + 1);
  }

  countRefusal(
    reason: RefusalReason,
    token: string | undefined,
    transport: Transport = "tcp",
  ): void {
    this.refusals[reason]++;
    const ofTransport = this.refusalsByTransport[transport];
    ofTransport.set(reason, (ofTransport.get(reason) ?? 0) + 1);
    if (token === undefined) return;
    const ofToken = this.refusalsByToken.get(token) ?? new Map<RefusalReason, number>();
    ofToken.set(reason, (ofToken.get(reason) ?? 0) + 1);
    this.refusalsByToken.set(token, ofToken);
  }
}
