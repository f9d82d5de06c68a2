/** What a line that is a JSON object says. */
export interface JsonLine {
  message: string;
  /** Everything else, the level left out. */
  fields: Record<string, unknown>;
}

/**
 * Takes a line apart that is a JSON object, as pino, bunyan and most other loggers write; its
 * message is in `msg` or `message`. `undefined` for any other line.
 */
export function parseJsonLine(line: string): JsonLine | undefined {
  if (!line.startsWith("{") || !line.endsWith("}")) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  const { level: _, msg, message, ...fields } = value as Record<string, unknown>;
  if (typeof msg === "string") return { message: msg, fields: withMessage(fields, message) };
  if (typeof message === "string") return { message, fields };
  return { message: line, fields: withMessage(fields, message) };
}

function withMessage(fields: Record<string, unknown>, message: unknown): Record<string, unknown> {
  return message === undefined ? fields : { ...fields, message };
}
