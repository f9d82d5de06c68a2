import { readFileSync } from "node:fs";
import { join } from "node:path";
import { bufferOptionsSchema } from "@millrace/core/buffer";
import { drainPoolOptionsSchema } from "@millrace/drain";
import { ingestClientOptionsSchema, ingestOptionsSchema } from "@millrace/ingest";
import { queueOptionsSchema, queueWorkerOptionsSchema } from "@millrace/queue";
import { supervisorOptionsSchema } from "@millrace/supervisor";
import { expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "../..");

test.each([
  ["createBuffer", "packages/core/README.md", bufferOptionsSchema.shape],
  ["createIngestServer", "packages/ingest/README.md", ingestOptionsSchema.shape],
  ["createIngestClient", "packages/ingest/README.md", ingestClientOptionsSchema.shape],
  ["createDrainPool", "packages/drain/README.md", drainPoolOptionsSchema.shape],
  ["createQueue", "docs/reference/queue.md", queueOptionsSchema.shape],
  ["createQueueWorker", "docs/reference/queue.md", queueWorkerOptionsSchema.shape],
  ["createSupervisor", "docs/reference/supervisor.md", supervisorOptionsSchema.shape],
  [
    "a process of createSupervisor",
    "docs/reference/supervisor.md",
    supervisorOptionsSchema.shape.processes.valueType.shape,
  ],
])("every option of %s is in %s", (_, page, shape) => {
  const text = readFileSync(join(ROOT, page), "utf8");
  const missing = Object.keys(shape).filter((option) => !text.includes(`\`${option}`));
  expect(missing).toEqual([]);
});
