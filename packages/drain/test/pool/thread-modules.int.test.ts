import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { expect, it } from "vitest";

/** Lists what the drain's thread imports; it then fails, for nobody has told it what to drain. */
const LIST_IMPORTS = `
  const { registerHooks } = require("node:module");
  const { parentPort } = require("node:worker_threads");
  const specifiers = new Set();
  registerHooks({
    resolve(specifier, context, next) {
      specifiers.add(specifier);
      return next(specifier, context);
    },
  });
  import("@millrace/drain/worker").catch(() => {}).then(() => parentPort.postMessage([...specifiers]));
`;

it("a worker thread loads the clients that it needs, and nothing that only checks options, logs or counts", async () => {
  const thread = new Worker(LIST_IMPORTS, { eval: true });
  const [specifiers] = (await once(thread, "message")) as [string[]];
  await thread.terminate();
  expect(specifiers).toEqual(expect.arrayContaining(["pg", "better-sqlite3"]));
  for (const heavy of ["zod", "pino", "prom-client/lib/registry", "protobufjs/light.js", "undici"])
    expect(specifiers).not.toContain(heavy);
});
