import * as z from "zod";

/**
 * An object schema that refuses unknown keys and names the known key that was probably meant: a
 * mistyped option that is silently ignored is found in production.
 */
export function strictOptions<Shape extends z.ZodRawShape>(shape: Shape) {
  const known = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === "unrecognized_keys"
        ? issue.keys.map((key) => describeUnknownKey(key, known)).join("; ")
        : undefined,
  });
}

function describeUnknownKey(key: string, known: readonly string[]): string {
  const meant = closestKey(key, known);
  return meant === undefined
    ? `unknown option ${key}`
    : `unknown option ${key}, did you mean ${meant}?`;
}

/** The entry of `known` within a third of its length in edits of `key`, if there is one. */
export function closestKey(key: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const candidate of known) {
    const distance = editDistance(key.toLowerCase(), candidate.toLowerCase());
    if (distance >= bestDistance) continue;
    bestDistance = distance;
    best = candidate;
  }
  return best !== undefined && bestDistance <= Math.max(2, best.length / 3) ? best : undefined;
}

function editDistance(left: string, right: string): number {
  let previous = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let row = 1; row <= left.length; row++) {
    const current = [row];
    for (let column = 1; column <= right.length; column++) {
      const substitution = left[row - 1] === right[column - 1] ? 0 : 1;
      current.push(
        Math.min(
          (previous[column] ?? 0) + 1,
          (current[column - 1] ?? 0) + 1,
          (previous[column - 1] ?? 0) + substitution,
        ),
      );
    }
    previous = current;
  }
  return previous[right.length] ?? 0;
}
