/** How a process ended. */
export interface Exit {
  /** Exit code, or `null` when a signal or a failed spawn ended it. */
  code: number | null;
  signal: NodeJS.Signals | null;
  /** Why it could not be started at all, as `ENOENT`. */
  spawnError?: string | undefined;
}

/** When an instance that ended by itself is started again. */
export interface RestartPolicy {
  restart: "always" | "on-failure" | "never";
  /** Exit codes that count as success. */
  successCodes: readonly number[];
  /** Exit codes after which it is never started again. */
  noRestartCodes: readonly number[];
  /** Signals that count as success when one of them ended it. */
  successSignals: readonly NodeJS.Signals[];
  /** Signals after which it is never started again. */
  noRestartSignals: readonly NodeJS.Signals[];
  /** Crashes in a row, none of them stable, after which it is `failed`; 0 never gives up. */
  giveUpAfter: number;
  backoff: BackoffPolicy;
}

interface BackoffPolicy {
  /** Upper bound of the first wait, in milliseconds; it doubles with each crash. */
  baseMs: number;
  /** Upper bound of every wait, in milliseconds. */
  capMs: number;
  /** Uptime from which a run counts as stable, in milliseconds. */
  minUptimeMs: number;
  /** Unstable crashes in a row from which the state says `crashloop`. */
  crashloopAfter: number;
}

/** What to do after an exit. */
export type RestartDecision =
  | { action: "restart"; delayMs: number; level: number; crashloop: boolean; stable: boolean }
  | { action: "end"; state: "stopped" | "failed"; level: number };

/**
 * Decides what follows an exit: at once after a stable run, otherwise after a full-jitter wait whose
 * bound doubles with `level`; once the bound is the cap, after all of it, because half of it on
 * average would be two starts per cap. The level counts unstable crashes and decays by one per
 * `minUptimeMs` of uptime, so that one good run doesn't forgive a hundred bad ones.
 */
export function decideRestart(
  exit: Exit,
  uptimeMs: number,
  level: number,
  policy: RestartPolicy,
  random: () => number = Math.random,
): RestartDecision {
  const succeeded = isOneOf(exit, policy.successCodes, policy.successSignals);
  const { backoff } = policy;
  const forbidden = isOneOf(exit, policy.noRestartCodes, policy.noRestartSignals);
  const wanted =
    !forbidden && (policy.restart === "always" || (policy.restart === "on-failure" && !succeeded));
  if (!wanted) return { action: "end", state: succeeded ? "stopped" : "failed", level };
  const stable = exit.spawnError === undefined && uptimeMs >= backoff.minUptimeMs;
  if (stable) {
    const decayed = Math.max(0, level - Math.floor(uptimeMs / Math.max(1, backoff.minUptimeMs)));
    return { action: "restart", delayMs: 0, level: decayed, crashloop: false, stable };
  }
  const next = level + 1;
  if (policy.giveUpAfter > 0 && next > policy.giveUpAfter) {
    return { action: "end", state: "failed", level: next };
  }
  const bound = Math.min(backoff.capMs, backoff.baseMs * 2 ** Math.min(level, 30));
  return {
    action: "restart",
    delayMs: bound < backoff.capMs ? bound * random() : bound,
    level: next,
    crashloop: next >= backoff.crashloopAfter,
    stable,
  };
}

function isOneOf(
  { code, signal }: Exit,
  codes: readonly number[],
  signals: readonly NodeJS.Signals[],
): boolean {
  return (code !== null && codes.includes(code)) || (signal !== null && signals.includes(signal));
}

/** One line on how a process ended. */
export function describeExit(exit: Exit): string {
  if (exit.spawnError !== undefined) return `could not be started: ${exit.spawnError}`;
  return exit.signal === null ? `exited with code ${exit.code}` : `killed by ${exit.signal}`;
}
