import type { Exit } from "../../src/process/restart-policy.ts";
import type { Random } from "./random.ts";

/** How the children of a process are by nature. */
export const TEMPERS = [
  "calm",
  "rough",
  "crashing",
  "brief",
  "mute",
  "stubborn",
  "missing",
  "frozen",
  "greedy",
] as const;

export type Temper = (typeof TEMPERS)[number];

/** What one child is going to do. */
export interface Behaviour {
  /** Why it can't be started at all. */
  spawnError: string | undefined;
  /** From the spawn until it is ready. */
  bootMs: number;
  becomesReady: boolean;
  /** When it ends by itself, from the spawn. */
  endsAfterMs: number | undefined;
  exit: Exit;
  obeysTerm: boolean;
  /** From SIGTERM, or from the call to drain, to the end. */
  stopMs: number;
  /** Leaves a process in its group when it ends. */
  leavesOrphan: boolean;
  /** When it stops answering, from the spawn. */
  freezesAfterMs: number | undefined;
  /** From SIGKILL to the end. */
  killMs: number;
  residentBytes: number;
  growsBytesPerSecond: number;
}

const MB = 1_000_000;

/** What a child of such a temper is going to do. */
export function behaviourOf(temper: Temper, random: Random): Behaviour {
  const calm: Behaviour = {
    spawnError: undefined,
    bootMs: random.between(1, 300),
    becomesReady: true,
    endsAfterMs: undefined,
    exit: { code: 0, signal: null },
    obeysTerm: true,
    stopMs: random.between(1, 400),
    leavesOrphan: false,
    freezesAfterMs: undefined,
    killMs: random.between(1, 5),
    residentBytes: random.between(10, 40) * MB,
    growsBytesPerSecond: 0,
  };
  switch (temper) {
    case "calm":
      return calm;
    case "rough":
      return random.chance(0.5) ? calm : behaviourOf(random.pick(ROUGH), random);
    case "crashing":
      return {
        ...calm,
        endsAfterMs: random.chance(0.8) ? random.between(1, 500) : random.between(500, 20_000),
        exit: random.chance(0.7)
          ? { code: random.between(1, 3), signal: null }
          : { code: null, signal: random.pick(["SIGKILL", "SIGSEGV"]) },
        leavesOrphan: random.chance(0.3),
      };
    case "brief":
      return { ...calm, endsAfterMs: random.between(1, 3_000) };
    case "mute":
      return { ...calm, becomesReady: false };
    case "stubborn":
      return {
        ...calm,
        obeysTerm: false,
        leavesOrphan: true,
        killMs: random.chance(0.2) ? 2_000 : 1,
      };
    case "missing":
      return { ...calm, spawnError: random.pick(["ENOENT", "EAGAIN", "EMFILE"]) };
    case "frozen":
      return { ...calm, freezesAfterMs: random.between(1, 20_000), obeysTerm: false };
    case "greedy":
      return { ...calm, growsBytesPerSecond: random.between(1, 20) * MB };
    default:
      return temper satisfies never;
  }
}

const ROUGH = ["crashing", "brief", "mute", "stubborn", "missing", "frozen", "greedy"] as const;
