import { textProblem } from "./text-problem.ts";

/** Far deeper than what senders write, far less than what exhausts the stack of a reader. */
const MAX_DEPTH = 1_000;
const MAX_SHOWN_PATH_LENGTH = 80;

interface Finding {
  readonly problem: string;
  /** Keys and indexes that lead to it, the innermost first. */
  readonly path: string[];
}

/** What keeps a parsed JSON value from being written again unchanged and stored as `jsonb`, or nothing. */
export function jsonProblem(value: unknown): string | undefined {
  const finding = findProblem(value, 0);
  if (finding === undefined) return undefined;
  const path = finding.path.toReversed().join(".");
  if (path === "") return finding.problem;
  return `${finding.problem} (at ${JSON.stringify(path.slice(0, MAX_SHOWN_PATH_LENGTH))})`;
}

function findProblem(value: unknown, depth: number): Finding | undefined {
  if (typeof value === "string") return found(textProblem(value));
  if (typeof value === "number") return found(numberProblem(value));
  if (typeof value !== "object" || value === null) return undefined;
  if (depth === MAX_DEPTH) {
    return { problem: `is nested more than ${MAX_DEPTH} levels deep`, path: [] };
  }
  return Array.isArray(value) ? inArray(value, depth) : inObject(value, depth);
}

function inArray(elements: readonly unknown[], depth: number): Finding | undefined {
  for (let index = 0; index < elements.length; index++) {
    const finding = findProblem(elements[index], depth + 1);
    if (finding !== undefined) return within(finding, String(index), depth);
  }
  return undefined;
}

function inObject(object: object, depth: number): Finding | undefined {
  for (const [key, value] of Object.entries(object)) {
    const keyProblem = textProblem(key);
    const finding =
      keyProblem === undefined ? findProblem(value, depth + 1) : found(`a key ${keyProblem}`);
    if (finding !== undefined) return within(finding, key, depth);
  }
  return undefined;
}

/** Reading JSON turns what it cannot hold into a nearby number or Infinity: then it is too late. */
function numberProblem(value: number): string | undefined {
  if (!Number.isFinite(value)) return "holds a number that is out of range";
  if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
    return `holds ${value}, which is not exact: whole numbers are exact up to 2^53 - 1`;
  }
  return undefined;
}

function found(problem: string | undefined): Finding | undefined {
  return problem === undefined ? undefined : { problem, path: [] };
}

function within(finding: Finding, key: string, depth: number): Finding {
  if (depth < MAX_SHOWN_PATH_LENGTH) finding.path.push(key);
  return finding;
}
