import type { LogLevel } from "./log-ring.ts";

/**
 * The level that a line declares: the `level` of a JSON line (pino's numbers or names), or a leading
 * word as in `ERROR: ...`. Everything else is `info`: stderr alone doesn't make an error.
 */
export function detectLevel(line: string): LogLevel {
  if (line.startsWith("{")) {
    const match = /"level"\s*:\s*(?:(\d+)|"([a-zA-Z]+)")/.exec(line);
    if (match?.[1] !== undefined) return fromNumber(Number(match[1]));
    if (match?.[2] !== undefined) return fromName(match[2]);
    return "info";
  }
  const word = /^\W{0,2}(trace|debug|info|warn(?:ing)?|err(?:or)?|fatal|critical)\b/i.exec(line);
  return word?.[1] === undefined ? "info" : fromName(word[1]);
}

function fromNumber(level: number): LogLevel {
  if (level >= 50) return "error";
  if (level >= 40) return "warn";
  return level >= 30 ? "info" : "debug";
}

function fromName(name: string): LogLevel {
  const lower = name.toLowerCase();
  if (lower.startsWith("err") || lower === "fatal" || lower === "critical") return "error";
  if (lower.startsWith("warn")) return "warn";
  return lower === "debug" || lower === "trace" ? "debug" : "info";
}
