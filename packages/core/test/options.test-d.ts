import { expectTypeOf, test } from "vitest";
import type { z } from "zod";
import type { PressureOptions, pressureOptionsSchema } from "../src/pressure-options.ts";
import type { BufferOptions, bufferOptionsSchema } from "../src/buffer/buffer-options.ts";
import type { OpsServerOptions, opsServerOptionsSchema } from "../src/ops/ops-options.ts";

test("the documented options are exactly what the schemas take", () => {
  expectTypeOf<z.input<typeof bufferOptionsSchema>>().toEqualTypeOf<BufferOptions>();
  expectTypeOf<z.input<typeof pressureOptionsSchema>>().toEqualTypeOf<PressureOptions>();
  expectTypeOf<z.input<typeof opsServerOptionsSchema>>().toEqualTypeOf<OpsServerOptions>();
});

test("resolved options have no gaps where there is a default", () => {
  expectTypeOf<z.output<typeof bufferOptionsSchema>["maxRows"]>().toEqualTypeOf<number>();
  expectTypeOf<z.output<typeof pressureOptionsSchema>["high"]>().toEqualTypeOf<number>();
  expectTypeOf<z.output<typeof opsServerOptionsSchema>["port"]>().toEqualTypeOf<number>();
});
