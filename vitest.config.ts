import { join } from "node:path";
import { defineConfig } from "vitest/config";

// Tests start many processes and threads from TypeScript sources: compiled once, they start in half
// the time.
process.env["NODE_COMPILE_CACHE"] ??= join(import.meta.dirname, "node_modules/.cache/compiled");

/** What depends on the server's version: DDL, COPY, merging, partitions, the ledger and its audit. */
const versionTests = [
  "alerts/outbox",
  "audit/audit",
  "bad-input",
  "dead-letters/replay",
  "exactly-once",
  "partitions/partition-landing",
  "partitions/partition-maintainer",
  "postgres-version",
  "refusals",
  "rollups/rollup-retention",
  "rollups/rollups",
  "rollups/sketch",
  "time-zones",
];

const conditions = ["@millrace/source"];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    // What is polled for may take its time on a busy machine, as with waitFor.
    expect: { poll: { timeout: 10_000 } },
    coverage: { provider: "v8", include: ["packages/*/src/**"] },
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: ["packages/*/test/**/*.test.ts", "test/**/*.test.ts"],
          exclude: ["**/*.int.test.ts", "**/*.soak.test.ts"],
          // They change nothing but what is theirs, and loading the same modules for each file took half of the time.
          isolate: false,
          typecheck: {
            enabled: true,
            include: ["packages/*/test/**/*.test-d.ts"],
            tsconfig: "tsconfig.json",
          },
        },
      },
      {
        extends: true,
        test: {
          name: "integration",
          include: ["{packages,tools}/*/test/**/*.int.test.ts", "test/**/*.int.test.ts"],
          globalSetup: ["test/setup/postgres.ts"],
          setupFiles: ["test/setup/watch-books.ts"],
          testTimeout: 30_000,
          hookTimeout: 60_000,
          // They wait more than they compute: two at a time take little more than half as long, with two cores
          // already. After the unit tests, which take as many workers as there are cores.
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: "postgres-14",
          include: versionTests.map((name) => `packages/drain/test/${name}.int.test.ts`),
          globalSetup: ["test/setup/postgres.ts"],
          setupFiles: ["test/setup/watch-books.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          fileParallelism: false,
        },
      },
      {
        extends: true,
        test: {
          name: "soak",
          include: ["{packages,tools}/*/test/**/*.soak.test.ts", "test/**/*.soak.test.ts"],
          globalSetup: ["test/setup/postgres.ts"],
          setupFiles: ["test/setup/watch-books.ts"],
          testTimeout: 300_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
