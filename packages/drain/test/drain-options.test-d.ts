import type { DurableBuffer } from "@millrace/core/buffer";
import type {
  DrainBuffer,
  DrainPoolOptions,
  drainPoolOptionsSchema,
  postgres,
} from "@millrace/drain";
import { expectTypeOf, it } from "vitest";
import type { z } from "zod";

it("the options interface is what the schema takes", () => {
  expectTypeOf<z.input<typeof drainPoolOptionsSchema>>().toEqualTypeOf<DrainPoolOptions>();
});

it("what postgres() gives is a destination that the schema takes", () => {
  expectTypeOf<ReturnType<typeof postgres>>().toEqualTypeOf<DrainPoolOptions["destination"]>();
});

it("a buffer of core fits", () => {
  expectTypeOf<DurableBuffer>().toExtend<DrainBuffer>();
});
