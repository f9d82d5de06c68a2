/** A value as it comes back from where it was stored as JSON; what JSON cannot hold is null. */
export function storedCopy(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value) ?? "null") as unknown;
}
