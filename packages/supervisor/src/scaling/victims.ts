import type { InstanceState } from "../process/instance-state.ts";

/** What decides who goes first on the way down. */
export interface VictimCandidate {
  number: number;
  state: InstanceState;
  /** Jobs in hand; `undefined` when the child doesn't say. */
  busy: number | undefined;
  uptimeMs: number;
}

/** Numbers of those to be stopped, the first first; who is left out is chosen as usual. */
export type ChooseVictims = (
  candidates: readonly VictimCandidate[],
  count: number,
) => readonly number[];

/**
 * Chooses who is stopped: those that `preferred` names, then those that don't serve, then the idle,
 * the less busy, the younger, and among equals the higher number.
 */
export function chooseVictims<Candidate extends VictimCandidate>(
  candidates: readonly Candidate[],
  count: number,
  preferred?: ChooseVictims,
): Candidate[] {
  const seen = candidates.map(({ number, state, busy, uptimeMs }) => ({
    number,
    state,
    busy,
    uptimeMs,
  }));
  const chosen = preferred?.(seen, count) ?? [];
  const rank = ({ number }: Candidate): number => {
    const at = chosen.indexOf(number);
    return at === -1 ? chosen.length : at;
  };
  return candidates
    .toSorted(
      (left, right) =>
        rank(left) - rank(right) ||
        Number(left.state === "ready") - Number(right.state === "ready") ||
        (left.busy ?? 0) - (right.busy ?? 0) ||
        youngerFirst(left, right) ||
        right.number - left.number,
    )
    .slice(0, Math.max(0, count));
}

// Instances of one batch differ by milliseconds: among those the number is the better order.
const SAME_AGE_MS = 1_000;

function youngerFirst(left: VictimCandidate, right: VictimCandidate): number {
  return Math.floor(left.uptimeMs / SAME_AGE_MS) - Math.floor(right.uptimeMs / SAME_AGE_MS);
}

/** The `count` lowest positive numbers that are not taken. */
export function lowestFreeNumbers(taken: ReadonlySet<number>, count: number): number[] {
  const free: number[] = [];
  for (let number = 1; free.length < count; number++) {
    if (!taken.has(number)) free.push(number);
  }
  return free;
}
