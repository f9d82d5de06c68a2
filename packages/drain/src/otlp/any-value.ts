import { RecordRefused, showValue } from "../encode/record-refused.ts";

/** A message in the shape of OTLP's JSON encoding. */
export type Message = Readonly<Record<string, unknown>>;

/** @throws {@link RecordRefused} for what is no JSON object; absent is empty. */
export function message(value: unknown): Message {
  if (value === undefined || value === null) return {};
  if (typeof value === "object" && !Array.isArray(value)) return value as Message;
  throw new RecordRefused(`expected an object, got ${showValue(value)}`);
}

/** @throws {@link RecordRefused} for what is no array of objects; absent is empty. */
export function messages(value: unknown): Message[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value.map(message);
  throw new RecordRefused(`expected an array, got ${showValue(value)}`);
}

/** Attributes as one JSON object; null when there are none. */
export function attributes(value: unknown): Record<string, unknown> | null {
  const pairs = messages(value);
  if (pairs.length === 0) return null;
  // Not by assignment: a key may be "__proto__".
  return Object.fromEntries(pairs.map(({ key, value: held }) => [keyOf(key), plain(held)]));
}

function keyOf(key: unknown): string {
  if (typeof key === "string") return key;
  if (key === undefined) return "";
  throw new RecordRefused(`expected the key of an attribute, got ${showValue(key)}`);
}

/** An AnyValue as plain JSON: 64-bit integers that a double would round as text, bytes as base64. */
export function plain(value: unknown): unknown {
  const held = message(value);
  if (held["stringValue"] !== undefined) return held["stringValue"];
  if (held["boolValue"] !== undefined) return held["boolValue"];
  if (held["intValue"] !== undefined) return integer(held["intValue"]);
  if (held["doubleValue"] !== undefined) return double(held["doubleValue"]);
  if (held["arrayValue"] !== undefined) {
    return messages(message(held["arrayValue"])["values"]).map(plain);
  }
  if (held["kvlistValue"] !== undefined) {
    return attributes(message(held["kvlistValue"])["values"]) ?? {};
  }
  const bytes = held["bytesValue"];
  return bytes instanceof Uint8Array ? Buffer.from(bytes).toString("base64") : (bytes ?? null);
}

function integer(value: unknown): unknown {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : String(value);
}

/** JSON has no infinities: OTLP writes them as text, and so does this. */
function double(value: unknown): unknown {
  const number = Number(value);
  if (Number.isInteger(number) && !Number.isSafeInteger(number)) return String(number);
  return Number.isFinite(number) ? number : String(number);
}
