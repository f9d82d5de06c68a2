import type { LoadShape } from "./load-shapes.ts";

/** What a policy sees when it is asked. */
interface View {
  second: number;
  depth: number;
  arrived: number;
  completed: number;
  oldestAgeSeconds: number;
  /** Workers that work. */
  ready: number;
  /** Workers that work or start. */
  workers: number;
}

/** Says how many workers there should be; asked every `periodSeconds`. */
export interface Policy {
  periodSeconds: number;
  decide(view: View): number;
}

/** What came of a run. */
export interface Outcome {
  /** Seconds in which the oldest waiting job was older than allowed. */
  breachSeconds: number;
  /** Worker seconds, by those of a fleet that always has exactly what arrives now. */
  cost: number;
  scaleEvents: number;
  /** First second after `since` in which more workers were asked for. */
  firstRise(since: number): number | undefined;
}

/** The world that policies are tried in. */
export interface World {
  slaSeconds: number;
  startSeconds: number;
  /** Poisson arrivals by this seed; without one they are exact. */
  seed: number | undefined;
}

const SECONDS = 300;
const BASE_PER_SECOND = 5;
const SERVICE_SECONDS = 1;

/** Runs 300 seconds of a load shape: jobs of one second, first come first served. */
export function simulate(shape: LoadShape, policy: Policy, world: World): Outcome {
  const random = world.seed === undefined ? undefined : randomFrom(world.seed);
  const waiting: number[] = [];
  const starting: number[] = [];
  const rises: number[] = [];
  const result = { breachSeconds: 0, workerSeconds: 0, idealSeconds: 0, scaleEvents: 0 };
  let ready = Math.max(1, Math.ceil(BASE_PER_SECOND * shape(0)));
  let arrived = 0;
  let completed = 0;
  let fraction = 0;
  for (let second = 0; second < SECONDS; second++) {
    const rate = BASE_PER_SECOND * shape(second);
    let jobs = 0;
    if (random === undefined) {
      fraction += rate;
      jobs = Math.floor(fraction + 1e-9);
      fraction -= jobs;
    } else {
      jobs = poisson(rate, random);
    }
    for (let job = 0; job < jobs; job++) waiting.push(second);
    arrived += jobs;
    while (starting[0] !== undefined && starting[0] <= second) {
      starting.shift();
      ready++;
    }
    const served = Math.min(waiting.length, Math.floor(ready / SERVICE_SECONDS));
    waiting.splice(0, served);
    completed += served;
    const oldestAgeSeconds = waiting[0] === undefined ? 0 : second - waiting[0];
    if (oldestAgeSeconds > world.slaSeconds) result.breachSeconds++;
    result.workerSeconds += ready + starting.length;
    result.idealSeconds += Math.max(1, Math.ceil(rate * SERVICE_SECONDS));
    if (second % policy.periodSeconds !== 0) continue;
    const workers = ready + starting.length;
    const depth = waiting.length;
    const view = { second, depth, arrived, completed, oldestAgeSeconds, ready, workers };
    const wanted = policy.decide(view);
    if (wanted !== workers) result.scaleEvents++;
    if (wanted > workers) rises.push(second);
    for (let more = workers; more < wanted; more++) starting.push(second + world.startSeconds);
    for (let fewer = workers; fewer > wanted; fewer--) {
      if (starting.pop() === undefined) ready--;
    }
  }
  return {
    breachSeconds: result.breachSeconds,
    cost: result.workerSeconds / result.idealSeconds,
    scaleEvents: result.scaleEvents,
    firstRise: (since) => rises.find((second) => second >= since),
  };
}

/** A small generator with a seed (mulberry32), so that every run is the same. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d_2b_79_f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function poisson(mean: number, random: () => number): number {
  const limit = Math.exp(-mean);
  let count = 0;
  for (let product = random(); product > limit; product *= random()) count++;
  return count;
}
