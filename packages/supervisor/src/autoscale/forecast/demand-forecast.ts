import { DampedHolt } from "./holt.ts";
import { serversForWait } from "./erlang-c.ts";

/** What to size for. */
export interface DemandForecastOptions {
  /** Longest a job should wait, in milliseconds. */
  maxWaitMs: number;
  /** Jobs that one instance works on at a time. @default 1 */
  concurrency?: number | undefined;
  /** Mean time per job, in milliseconds, for as long as nothing was measured. @default 1_000 */
  serviceMs?: number | undefined;
  /** Share of jobs that may wait longer. @default 0.05 */
  maxLateShare?: number | undefined;
  /** Share of `maxWaitMs` within which a backlog is to be worked off. @default 0.8 */
  drainWithin?: number | undefined;
}

/** One look at a queue. */
export interface DemandSample {
  nowMs: number;
  depth: number;
  /** Totals, where the queue counts. */
  arrived: number | undefined;
  completed: number | undefined;
  oldestAgeMs: number | undefined;
  /** Instances that work now. */
  instances: number;
  /** Time that a new instance takes to start. */
  startupMs: number;
}

/** What a forecast wants, term by term. */
export interface Demand {
  instances: number;
  arrivalsPerSecond: number;
  serviceSeconds: number;
  reason: string;
}

// Chosen by simulation over twelve load shapes with Poisson arrivals: shorter ones follow noise.
const LEVEL_SECONDS = 12;
const TREND_SECONDS = 30;
const DAMPING_PER_SECOND = 0.8;
const SERVICE_SMOOTHING = 0.3;
const MAX_GAP_SECONDS = 60;

/**
 * Sizes for a waiting time: expected arrivals over the time that help needs to come, enough
 * instances for them by Erlang C, and enough to work off the backlog before it is too old.
 */
export class DemandForecast {
  readonly #options: Required<{ [Key in keyof DemandForecastOptions]: number }>;
  #arrivals = newHolt();
  #serviceSeconds: number;
  #last: DemandSample | undefined;

  constructor(options: DemandForecastOptions) {
    this.#options = {
      maxWaitMs: options.maxWaitMs,
      concurrency: options.concurrency ?? 1,
      serviceMs: options.serviceMs ?? 1_000,
      maxLateShare: options.maxLateShare ?? 0.05,
      drainWithin: options.drainWithin ?? 0.8,
    };
    this.#serviceSeconds = this.#options.serviceMs / 1_000;
  }

  observe(sample: DemandSample): Demand {
    const last = this.#last;
    this.#last = sample;
    const elapsed = last === undefined ? 0 : (sample.nowMs - last.nowMs) / 1_000;
    if (last !== undefined && elapsed > 0 && elapsed <= MAX_GAP_SECONDS) {
      this.#measureService(sample, last, elapsed);
      this.#arrivals.observe(this.#arrivalRate(sample, last, elapsed), elapsed);
    } else if (elapsed > MAX_GAP_SECONDS) {
      this.#arrivals = newHolt();
    }
    return this.#size(sample, elapsed);
  }

  #arrivalRate(sample: DemandSample, last: DemandSample, elapsed: number): number {
    if (sample.arrived !== undefined && last.arrived !== undefined) {
      return Math.max(0, sample.arrived - last.arrived) / elapsed;
    }
    // Without counters: what the backlog grew by and what the instances can have worked off.
    const { concurrency } = this.#options;
    const capacity = (last.instances * concurrency) / this.#serviceSeconds;
    // An empty queue hides how much passes through it: assume a little less than before.
    const hidden = Math.min(capacity, (this.#arrivals.level ?? 0) * 0.9);
    const served = last.depth > 0 ? capacity : hidden;
    return Math.max(0, (sample.depth - last.depth) / elapsed + served);
  }

  /** With a backlog all instances are busy: their time by what they completed is the time per job. */
  #measureService(sample: DemandSample, last: DemandSample, elapsed: number): void {
    if (sample.completed === undefined || last.completed === undefined) return;
    const completed = sample.completed - last.completed;
    const slots = Math.min(sample.instances, last.instances) * this.#options.concurrency;
    const saturated = sample.depth >= slots && last.depth >= slots;
    if (completed < 3 || slots === 0 || !saturated) return;
    const measured = (slots * elapsed) / completed;
    this.#serviceSeconds += SERVICE_SMOOTHING * (measured - this.#serviceSeconds);
  }

  #size(sample: DemandSample, elapsed: number): Demand {
    const { maxWaitMs, maxLateShare, drainWithin, concurrency } = this.#options;
    const periodSeconds = Math.max(0.1, elapsed);
    const aheadSeconds = sample.startupMs / 1_000 + periodSeconds;
    const arrivals = Math.max(this.#arrivals.forecast(aheadSeconds), 0);
    const service = this.#serviceSeconds;
    const waitSeconds = maxWaitMs / 1_000;
    const steady = serversForWait(arrivals, service, waitSeconds, maxLateShare);
    // What is normally waiting between two looks is no backlog.
    const backlog = Math.max(0, sample.depth - arrivals * Math.min(1, waitSeconds / 4));
    const ageSeconds = (sample.oldestAgeMs ?? 0) / 1_000;
    const leftSeconds = Math.max(waitSeconds * drainWithin - ageSeconds, periodSeconds);
    const drain = backlog === 0 ? 0 : (backlog * service) / leftSeconds + arrivals * service;
    const instances = Math.ceil(Math.max(steady, drain) / concurrency - 1e-9);
    return {
      instances,
      arrivalsPerSecond: arrivals,
      serviceSeconds: service,
      reason:
        `${arrivals.toFixed(1)}/s expected, ${service.toFixed(2)} s each, depth ${sample.depth}: ` +
        `${steady} for the arrivals, ${drain.toFixed(1)} with the backlog`,
    };
  }
}

function newHolt(): DampedHolt {
  return new DampedHolt({
    levelSeconds: LEVEL_SECONDS,
    trendSeconds: TREND_SECONDS,
    dampingPerSecond: DAMPING_PER_SECOND,
  });
}
