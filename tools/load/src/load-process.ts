/**
 * The process that makes load; started by `startLoadGenerator`.
 *
 * @module
 */
import { hashToken } from "./frame.ts";
import { runHttpLoad } from "./http-load.ts";
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
  const { connections, client, token } = input;
  const payloads = createPayloadStamper({
    run: input.run,
    tokenHash: client.kind === "http" ? undefined : await hashToken(token),
  });
  const tally = new LoadTally();
  const endsAt = performance.now() + input.seconds * 1_000;
  const target = { host: input.host, port: input.port, endsAt };
  const send = () => {
    switch (client.kind) {
      case "one-shot":
        return runOneShotLoad(target, payloads, tally);
      case "pipelined":
        return runPipelinedLoad(
          {
            ...target,
            window: client.window,
            ratePerSecond:
              client.ratePerSecond === undefined ? undefined : client.ratePerSecond / connections,
          },
          payloads,
          tally,
        );
      case "http":
        return runHttpLoad({ ...target, ...client, token }, payloads, tally);
      default:
        return client satisfies never;
    }
  };
  await Promise.all(Array.from({ length: connections }, send));
  return tally.result();
}

function reply(message: LoadReply): void {
  process.send?.(message);
}
