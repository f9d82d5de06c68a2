import type { DurableBuffer } from "@millrace/core/buffer";
import type { Pressure } from "@millrace/core";
import type {
  IngestBuffer,
  IngestOptions,
  IngestPressure,
  ingestOptionsSchema,
} from "@millrace/ingest";
import { expectTypeOf, it } from "vitest";
import type { z } from "zod";

it("the options interface is what the schema takes", () => {
  expectTypeOf<z.input<typeof ingestOptionsSchema>>().toEqualTypeOf<IngestOptions>();
});

it("the parts of core fit", () => {
  expectTypeOf<DurableBuffer>().toExtend<IngestBuffer>();
  expectTypeOf<Pressure>().toExtend<IngestPressure>();
});
