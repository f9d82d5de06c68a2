/**
 * The process that makes load; started by `startLoadGenerator`.
 *
 * @module
 */
import { hashToken } from "./frame.ts";
import type { LoadInput, LoadReply } from "./load-generator.ts";
import { type LoadResult, LoadTally } from "./load-tally.ts";
import { runOneShotLoad } from "./one-shot-load.ts";
import { createPayloadStamper } from "./payload-stamper.ts";
import { runPipelinedLoad } from "./pipelined-load.ts";

// A Ctrl-C reaches every process of the terminal: who started this one decides when it ends.
process.on("SIGINT", () => {});
process.once("disconnect", () => process.exit());
process.on("message", (input: LoadInput) => {
  run(input).then(
    (result) => reply({ result }),
    (error: unknown) => reply({ error: String(error) }),
  );
});

async function run(input: LoadInput): Promise<LoadResult> {
  const { host, port, connections, client } = input;
  const frames = createPayloadStamper({
    run: input.run,
    tokenHash: await hashToken(input.token),
  });
  const tally = new LoadTally();
  const endsAt = performance.now() + input.seconds * 1_000;
  await Promise.all(
    Array.from({ length: connections }, () =>
      client.kind === "one-shot"
        ? runOneShotLoad({ host, port, endsAt }, frames, tally)
        : runPipelinedLoad({ host, port, endsAt, window: client.window }, frames, tally),
    ),
  );
  return tally.result();
}

function reply(message: LoadReply): void {
  process.send?.(message);
}
