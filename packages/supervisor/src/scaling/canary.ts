import { MillraceError } from "@millrace/core";
import type { SupervisorErrorCode } from "../errors.ts";
import type { Fleet } from "../fleet.ts";
import { sleep } from "../host/clock.ts";
import { mergeProcessOptions } from "../options/merge-process-options.ts";
import type { CanaryOptions, CanaryStatus, CanaryVerdict, CanaryView } from "./canary-options.ts";
import { judgeErrorRates } from "./canary-verdict.ts";
import type { ManagedProcess } from "./managed-process.ts";
import type { OperationContext } from "./operation-queue.ts";
import type { Operation } from "./operation.ts";
import { rollOut } from "./rollout.ts";

const DEFAULT_INTERVAL_MS = 1_000;

/**
 * Runs a second variant of a process beside the first, by instance counts, and promotes or aborts it.
 *
 * @throws {@link MillraceError} `SUPERVISOR_CANARY_RUNNING`.
 */
export function startCanary(
  fleet: Fleet,
  name: string,
  options: CanaryOptions,
  onChange: (status: CanaryStatus) => void,
): Operation {
  const process = fleet.process(name);
  if (process.canarySpec !== undefined) {
    throw new MillraceError<SupervisorErrorCode>(
      "SUPERVISOR_CANARY_RUNNING",
      `${name} has a canary already: wait for it or cancel its operation`,
      { details: { process: name } },
    );
  }
  const spec = {
    name,
    generation: process.spec.generation + 1,
    options: mergeProcessOptions(name, process.spec.options, options.patch),
  };
  process.canarySpec = spec;
  return fleet.submit(process, "canary", undefined, (context) =>
    new CanaryRun(process, options, context, onChange).run(),
  );
}

class CanaryRun {
  readonly #process: ManagedProcess;
  readonly #options: CanaryOptions;
  readonly #context: OperationContext;
  readonly #onChange: (status: CanaryStatus) => void;
  readonly #steps: readonly number[];
  #step = 0;

  constructor(
    process: ManagedProcess,
    options: CanaryOptions,
    context: OperationContext,
    onChange: (status: CanaryStatus) => void,
  ) {
    this.#process = process;
    this.#options = options;
    this.#context = context;
    this.#onChange = onChange;
    this.#steps = options.steps ?? [1];
  }

  async run(): Promise<void> {
    try {
      for (const instances of this.#steps) {
        this.#step++;
        await this.#widen(instances);
        const verdict = await this.#hold();
        if (verdict.verdict === "abort") throw aborted(this.#process.name, verdict.reason);
        if (verdict.verdict === "promote") break;
      }
      await this.#promote();
    } catch (error) {
      await this.#abort(error);
      throw error;
    }
  }

  get #stable(): number[] {
    return this.#process.active
      .map(({ number }) => number)
      .filter((number) => !this.#process.canaryNumbers.has(number));
  }

  /** Gives the highest numbers to the canary until it has as many as the step says. */
  async #widen(instances: number): Promise<void> {
    const { canarySpec, canaryNumbers } = this.#process;
    if (canarySpec === undefined) return;
    const candidates = this.#stable.toSorted((left, right) => right - left);
    const chosen = candidates.slice(0, Math.max(0, instances - canaryNumbers.size));
    // Before they are replaced: what is cut short half-way has to be put back too.
    for (const number of chosen) canaryNumbers.add(number);
    await rollOut(this.#process, canarySpec, chosen, this.#context);
    this.#report("running", `step ${this.#step} of ${this.#steps.length}`);
  }

  async #hold(): Promise<{ verdict: CanaryVerdict; reason: string }> {
    const { holdMs, intervalMs = DEFAULT_INTERVAL_MS } = this.#options;
    const { clock } = this.#process;
    const startedAt = clock.monotonicMs();
    for (;;) {
      const elapsedMs = clock.monotonicMs() - startedAt;
      const answer = await this.#ask(elapsedMs);
      if (answer.verdict !== "continue") return answer;
      const leftMs = holdMs - elapsedMs;
      if (leftMs <= 0) return answer;
      await sleep(clock, Math.min(intervalMs, leftMs), this.#context.signal);
      this.#context.signal.throwIfAborted();
    }
  }

  async #ask(elapsedMs: number): Promise<{ verdict: CanaryVerdict; reason: string }> {
    const { canaryNumbers, name } = this.#process;
    const view: CanaryView = {
      process: name,
      canary: [...canaryNumbers],
      stable: this.#stable,
      elapsedMs,
    };
    for (const number of canaryNumbers) {
      const instance = this.#process.instances.get(number);
      if (instance?.state === "crashloop" || instance?.state === "failed") {
        return { verdict: "abort", reason: `${instance.id} is in ${instance.state}` };
      }
    }
    if (this.#options.errors !== undefined) {
      const counts = await this.#options.errors(view);
      const judged = judgeErrorRates(counts.canary, counts.stable);
      if (judged.verdict === "abort") return judged;
    }
    const verdict = (await this.#options.verdict?.(view)) ?? "continue";
    return { verdict, reason: `the verdict function said ${verdict}` };
  }

  async #promote(): Promise<void> {
    const { canarySpec, spec } = this.#process;
    if (canarySpec === undefined) return;
    await rollOut(this.#process, canarySpec, this.#stable, this.#context);
    this.#process.spec = canarySpec;
    this.#process.previousSpecs.push(spec);
    this.#forget();
    this.#report("promoted", "every instance runs the canary's generation");
  }

  async #abort(cause: unknown): Promise<void> {
    const { canarySpec, instances } = this.#process;
    // The operation's own signal may have fired: putting the stable variant back must still happen.
    const context = { ...this.#context, signal: new AbortController().signal };
    // By what they run: a promotion that was cut short has replaced some that are no canaries.
    const back = [...instances.values()]
      .filter(({ spec }) => spec === canarySpec)
      .map(({ number }) => number);
    await rollOut(this.#process, this.#process.spec, back, context).finally(() => this.#forget());
    this.#report("aborted", cause instanceof Error ? cause.message : String(cause));
  }

  #forget(): void {
    this.#process.canaryNumbers.clear();
    this.#process.canarySpec = undefined;
  }

  #report(state: CanaryStatus["state"], reason: string): void {
    const { name, canaryNumbers } = this.#process;
    const instances = canaryNumbers.size;
    this.#context.progress(this.#step, this.#steps.length, reason);
    const steps = this.#steps.length;
    this.#onChange({ process: name, state, instances, step: this.#step, steps, reason });
  }
}

function aborted(name: string, reason: string): MillraceError<SupervisorErrorCode> {
  return new MillraceError<SupervisorErrorCode>(
    "SUPERVISOR_CANARY_ABORTED",
    `the canary of ${name} was aborted: ${reason}`,
    { details: { process: name } },
  );
}
