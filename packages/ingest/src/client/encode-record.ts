/**
 * JSON of one record, or why it has none. Never throws, whatever the record's getters and `toJSON`
 * do.
 */
export function encodeRecord(record: unknown): { text: string } | { problem: unknown } {
  try {
    const text: string | undefined = JSON.stringify(record);
    // A payload is an array of objects: anything else would end as a dead letter of the drain.
    if (text?.startsWith("{")) return { text };
    return { problem: new TypeError("a record must be an object that encodes to a JSON object") };
  } catch (error) {
    return { problem: error };
  }
}
