/**
 * A buffer that is appended to without a network: as fast as it takes, then at a part of that rate, then
 * at a rate of its own, while its maintenance thread checkpoints.
 *
 * @module
 */
import { createBuffer, type DurableBuffer } from "@millrace/core/buffer";
import { createPayloadStamper } from "@millrace/load";
import { answerCalls } from "../process/answer-calls.ts";
import { UNLIMITED_BUFFER } from "../process/unlimited-buffer.ts";
import { warningsOnly } from "../process/warnings-only.ts";

export interface PacedAppendsInput {
  path: string;
  durability: "process" | "power";
  /** For each rate. */
  seconds: number;
  /** Part of the full rate, from 0 to 1. */
  share: number;
  /** Payloads a second that an agent may well see. */
  steadyRate: number;
}

export interface AppendRates {
  full: Appends;
  paced: Appends;
  steady: Appends;
}

export interface Appends {
  payloadsPerSecond: number;
  /** From `append` to its promise. */
  p50Ms: number;
  p99Ms: number;
}

/** Appends under way when there is no other limit. */
const WINDOW = 512;
const TICK_MS = 1;

const calls = {
  async append(input: PacedAppendsInput): Promise<AppendRates> {
    const { path, durability, seconds, share, steadyRate } = input;
    const buffer = createBuffer({ path, durability, ...UNLIMITED_BUFFER, logger: warningsOnly });
    await buffer.start();
    const full = await appendFor(buffer, seconds, Number.POSITIVE_INFINITY);
    const paced = await appendFor(buffer, seconds, full.payloadsPerSecond * share);
    const steady = await appendFor(buffer, seconds, steadyRate);
    await buffer.close();
    return { full, paced, steady };
  },
};

export type PacedAppendsCalls = typeof calls;

answerCalls(calls);

function appendFor(
  buffer: DurableBuffer,
  seconds: number,
  payloadsPerSecond: number,
): Promise<Appends> {
  const payloads = createPayloadStamper({ run: "paced" });
  const latenciesMs: number[] = [];
  const startedAt = performance.now();
  const endsAt = startedAt + seconds * 1_000;
  let appended = 0;
  const { promise, resolve, reject } = Promise.withResolvers<Appends>();

  const appendOne = async () => {
    const appendedAt = performance.now();
    appended++;
    await buffer.append(payloads.next());
    const now = performance.now();
    latenciesMs.push(now - appendedAt);
    if (now >= endsAt) finish();
    else if (payloadsPerSecond === Number.POSITIVE_INFINITY) append(1);
  };
  const append = (count: number) => {
    for (let index = 0; index < count; index++) appendOne().catch(reject);
  };
  const finish = () => {
    if (latenciesMs.length < appended) return;
    const passedSeconds = (performance.now() - startedAt) / 1_000;
    resolve(summaryOf(latenciesMs, appended / passedSeconds));
  };
  if (payloadsPerSecond === Number.POSITIVE_INFINITY) {
    append(WINDOW);
  } else {
    const timer = setInterval(() => {
      const now = Math.min(performance.now(), endsAt);
      append(Math.ceil(((now - startedAt) / 1_000) * payloadsPerSecond) - appended);
      if (now === endsAt) clearInterval(timer);
    }, TICK_MS);
  }
  return promise;
}

function summaryOf(latenciesMs: readonly number[], payloadsPerSecond: number): Appends {
  const sorted = Float64Array.from(latenciesMs).toSorted();
  const at = (part: number) => sorted[Math.floor((sorted.length - 1) * part)] ?? Number.NaN;
  return { payloadsPerSecond, p50Ms: at(0.5), p99Ms: at(0.99) };
}
