import { answerCalls } from "../process/answer-calls.ts";
import { startUsage } from "../process/process-usage.ts";
import type { Served, ServerCalls } from "./server-calls.ts";

/** Lets the benchmark start and stop the server of this process, and ask what it `counts` in between. */
export function answerServerCalls(
  counts: () => Omit<Served, "usage">,
  { start, stop }: Pick<ServerCalls, "start" | "stop">,
): void {
  let before = counts();
  let endUsage = startUsage();
  const calls: ServerCalls = {
    start,
    begin() {
      before = counts();
      endUsage = startUsage();
    },
    end() {
      const usage = endUsage();
      const { payloads, commits } = counts();
      return { payloads: payloads - before.payloads, commits: commits - before.commits, usage };
    },
    stop,
  };
  answerCalls(calls);
}
