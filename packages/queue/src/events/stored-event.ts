/** An event with the id that its stream gave it. */
export interface StoredEvent {
  /** Redis stream id, `<milliseconds>-<number>`: grows with every event of the tenant. */
  id: string;
  type: string;
  /** JSON. */
  data: string;
}

/** An event as subscribers hear of it. */
export interface HeardEvent extends StoredEvent {
  /** Of the event before it; `0-0` for the first. */
  previousId: string;
}

/** Whether stream id `one` comes after `other`. */
export function isAfter(one: string, other: string): boolean {
  const [oneMs = 0, oneSeq = 0] = one.split("-").map(Number);
  const [otherMs = 0, otherSeq = 0] = other.split("-").map(Number);
  return oneMs === otherMs ? oneSeq > otherSeq : oneMs > otherMs;
}

/** @throws TypeError for what cannot be an event's type. */
export function assertEventType(type: string): void {
  if (/^[\w.:-]{1,64}$/.test(type)) return;
  throw new TypeError(`event type ${JSON.stringify(type)}: use letters, digits, _ . : and -`);
}

/** True for what a client may send as `Last-Event-ID`. */
export function isEventId(text: string): boolean {
  return /^\d{1,15}-\d{1,15}$/.test(text);
}

/** An event as server-sent events put it on the wire (WHATWG HTML, section 9.2). */
export function toSse({ id, type, data }: StoredEvent): string {
  const lines = data.split(/\r\n|\r|\n/).map((line) => `data: ${line}`);
  return `id: ${id}\nevent: ${type}\n${lines.join("\n")}\n\n`;
}
