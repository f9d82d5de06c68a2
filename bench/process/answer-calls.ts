/** Functions that the benchmark calls in a measured process; inputs and results are plain data. */
export type Calls = Record<string, (input: never) => unknown>;

interface Call {
  name: string;
  input: unknown;
}

export type Reply = { result: unknown } | { error: string };

/** Lets the benchmark call `calls`, and ends this process when the benchmark has ended. */
export function answerCalls(calls: Calls): void {
  // A Ctrl-C reaches every process of the terminal: the benchmark decides when this one ends.
  process.on("SIGINT", () => {});
  process.once("disconnect", () => process.exit());
  const answer = async ({ name, input }: Call): Promise<Reply> => {
    try {
      return { result: await calls[name]?.(input as never) };
    } catch (error) {
      return { error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
    }
  };
  process.on("message", (call: Call) => {
    void answer(call).then((reply) => process.send?.(reply));
  });
}
