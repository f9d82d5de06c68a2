/** Bounds and manners of {@link decide}. */
export interface DrainPolicyOptions {
  /** Transactions at a time, at most. */
  maxConcurrency: number;
  /** Payloads in a batch, at most. */
  maxBatchRows: number;
  /** Gives way: rests between batches, half of the concurrency, shorter transactions, less patience. */
  polite: boolean;
}

/** What the workers did since the last decision. */
export interface DrainSample {
  /** Seconds that it covers. */
  seconds: number;
  /** Payloads landed. */
  rows: number;
  batches: number;
  /** What landing them took, in seconds, over all workers. */
  landingSeconds: number;
  /** Whether more was waiting than the workers could take: else a rate says nothing about PostgreSQL. */
  isSaturated: boolean;
  /** Lock timeouts, deadlocks, and refusals for want of connections or memory. */
  troubles: number;
}

/** Why the last decision was what it was. */
export type DrainReason = "start" | "trouble" | "latency" | "no-gain" | "gain" | "probe";

/** What {@link decide} remembers. */
export interface DrainPolicyState {
  /** Transactions that may be open at a time. */
  readonly concurrency: number;
  /** Payloads that a batch may have. */
  readonly batchRows: number;
  readonly reason: DrainReason;
  /** How long a worker rests after a batch, as a share of what landing it took. */
  readonly restShare: number;
  /** Least seconds a row that landing took lately; drifts up, so that a slower server becomes the norm. */
  readonly baseSeconds: number | undefined;
  /** Payloads and seconds since the concurrency was last changed. */
  readonly window: { readonly rows: number; readonly seconds: number };
  /** Payloads a second of the concurrency below the one that is being tried. */
  readonly rateBefore: number | undefined;
  /** Seconds until rates are measured: what has just started is slower than it will be. */
  readonly settleSeconds: number;
  /** Seconds until the next increase may be tried. */
  readonly restSeconds: number;
  /** How long to rest after the next increase that brings nothing. */
  readonly nextRestSeconds: number;
}

/** At a cold start; two connections fill two cores, see bench/README.md. */
const START_CONCURRENCY = 2;
/** A polite pool first sees what it is like for the others. */
const POLITE_START_CONCURRENCY = 1;
/**
 * A polite worker's rests: as long as landing took while rows land as they used to, longer while they don't.
 * They matter more to others than fewer threads or smaller batches do: see bench/README.md.
 */
const MIN_REST_SHARE = 1;
const MAX_REST_SHARE = 4;
/** How fast rests grow and shrink, in one decision. */
const REST_GROWTH = 2;
const REST_SHRINKAGE = 0.8;
const MIN_BATCH_ROWS = 100;
/** Steps of a full-size batch that a batch may grow by in one decision. */
const BATCH_STEPS = 10;
/** Seconds of load that a rate is measured over. */
const WINDOW_SECONDS = 2;
/** What an increase must bring to be kept. */
const WORTHWHILE_GAIN = 1.05;
/** What one may cost before its window is over. */
const HOPELESS_LOSS = 0.9;
/** Seconds after which that can be told. */
const HOPELESS_SECONDS = 1;
/** Of a pool that starts, whose code is not compiled yet: measured against that, any increase seems to pay. */
const START_SETTLE_SECONDS = 2;
/** Of a worker that has rested: it connects first. */
const INCREASE_SETTLE_SECONDS = 0.5;
const FIRST_REST_SECONDS = 10;
const MAX_REST_SECONDS = 300;
/** After a decrease. */
const RECOVERY_SECONDS = 2;
/** Each second the norm forgets so much: after two minutes a latency three times the norm is the norm. */
const BASE_DRIFT = 1.01;

/** How far the latency of a row may exceed the norm, and how long a transaction may take, in seconds. */
const PATIENT = { tolerance: 3, batchSeconds: 2 };
const POLITE = { tolerance: 1.5, batchSeconds: 0.25 };

/** Where a pool starts from. */
export function startState(options: DrainPolicyOptions): DrainPolicyState {
  const concurrency = options.polite ? POLITE_START_CONCURRENCY : START_CONCURRENCY;
  return {
    concurrency: Math.min(concurrency, bound(options)),
    batchRows: options.maxBatchRows,
    reason: "start",
    restShare: options.polite ? MIN_REST_SHARE : 0,
    baseSeconds: undefined,
    window: { rows: 0, seconds: 0 },
    rateBefore: undefined,
    settleSeconds: START_SETTLE_SECONDS,
    restSeconds: 0,
    nextRestSeconds: FIRST_REST_SECONDS,
  };
}

/**
 * How many transactions may be open at a time, and how large they may be, from how the last ones went.
 *
 * One more while that raises the throughput; half at lock timeouts and refused connections, three
 * quarters when rows take longer than they used to. Batches shrink when their transactions take too
 * long, since those hold locks. A polite pool also rests between batches, longer the slower rows are.
 */
export function decide(
  state: DrainPolicyState,
  sample: DrainSample,
  options: DrainPolicyOptions,
): DrainPolicyState {
  const limits = options.polite ? POLITE : PATIENT;
  const restSeconds = Math.max(0, state.restSeconds - sample.seconds);
  if (sample.troubles > 0) {
    return decreased(
      state,
      0.5,
      "trouble",
      Math.max(MIN_BATCH_ROWS, state.batchRows >> 1),
      options,
    );
  }
  if (sample.rows === 0 || !sample.isSaturated) return { ...state, restSeconds };

  const secondsPerRow = sample.landingSeconds / sample.rows;
  const drifted = (state.baseSeconds ?? secondsPerRow) * BASE_DRIFT ** sample.seconds;
  const isSlow = secondsPerRow > drifted * limits.tolerance;
  // Slow with a single transaction open: it is not the pool that does it, and waiting would not help.
  const isForeign = isSlow && state.concurrency === 1 && !options.polite;
  const baseSeconds = isForeign ? secondsPerRow : Math.min(drifted, secondsPerRow);
  const batchRows = nextBatchRows(state.batchRows, sample, limits.batchSeconds, options);
  const restShare = options.polite ? nextRestShare(state.restShare, isSlow) : 0;
  const learned = { ...state, baseSeconds, batchRows, restSeconds, restShare };
  if (isSlow && !isForeign) {
    return decreased(learned, 0.75, "latency", batchRows, options);
  }
  if (state.settleSeconds > 0) {
    return { ...learned, settleSeconds: Math.max(0, state.settleSeconds - sample.seconds) };
  }
  const window = {
    rows: state.window.rows + sample.rows,
    seconds: state.window.seconds + sample.seconds,
  };
  const isHopeless =
    window.seconds >= HOPELESS_SECONDS &&
    window.rows / window.seconds < (state.rateBefore ?? 0) * HOPELESS_LOSS;
  if (window.seconds < WINDOW_SECONDS && !isHopeless) return { ...learned, window };
  return climbed({ ...learned, window }, options);
}

/** Judges the last increase, or tries the next. */
function climbed(state: DrainPolicyState, options: DrainPolicyOptions): DrainPolicyState {
  const rate = state.window.rows / state.window.seconds;
  const window = { rows: 0, seconds: 0 };
  if (state.rateBefore !== undefined && rate < state.rateBefore * WORTHWHILE_GAIN) {
    return {
      ...state,
      window,
      concurrency: Math.max(1, state.concurrency - 1),
      reason: "no-gain",
      rateBefore: undefined,
      restSeconds: state.nextRestSeconds,
      nextRestSeconds: Math.min(MAX_REST_SECONDS, state.nextRestSeconds * 2),
    };
  }
  const judged = { ...state, window, rateBefore: undefined };
  if (state.concurrency >= bound(options) || state.restSeconds > 0) {
    return state.rateBefore === undefined ? judged : { ...judged, reason: "gain" };
  }
  return {
    ...judged,
    concurrency: state.concurrency + 1,
    reason: "probe",
    rateBefore: rate,
    settleSeconds: INCREASE_SETTLE_SECONDS,
  };
}

function decreased(
  state: DrainPolicyState,
  factor: number,
  reason: DrainReason,
  batchRows: number,
  options: DrainPolicyOptions,
): DrainPolicyState {
  return {
    ...state,
    concurrency: Math.max(1, Math.floor(state.concurrency * factor)),
    batchRows: Math.min(batchRows, options.maxBatchRows),
    reason,
    window: { rows: 0, seconds: 0 },
    rateBefore: undefined,
    restSeconds: RECOVERY_SECONDS,
    nextRestSeconds: FIRST_REST_SECONDS,
  };
}

function nextRestShare(restShare: number, isSlow: boolean): number {
  return isSlow
    ? Math.min(MAX_REST_SHARE, restShare * REST_GROWTH)
    : Math.max(MIN_REST_SHARE, restShare * REST_SHRINKAGE);
}

function nextBatchRows(
  batchRows: number,
  { batches, landingSeconds }: DrainSample,
  maxSeconds: number,
  { maxBatchRows }: DrainPolicyOptions,
): number {
  const seconds = landingSeconds / batches;
  const least = Math.min(MIN_BATCH_ROWS, maxBatchRows);
  if (seconds > maxSeconds) return Math.max(least, Math.floor(batchRows * 0.75));
  if (seconds > maxSeconds / 2) return batchRows;
  return Math.min(maxBatchRows, batchRows + Math.ceil(maxBatchRows / BATCH_STEPS));
}

function bound({ maxConcurrency, polite }: DrainPolicyOptions): number {
  return polite ? Math.max(1, maxConcurrency >> 1) : maxConcurrency;
}
