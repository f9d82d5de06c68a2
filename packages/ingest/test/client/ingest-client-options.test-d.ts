import type { IngestClientOptions, ingestClientOptionsSchema } from "@millrace/ingest";
import { expectTypeOf, it } from "vitest";
import type { z } from "zod";

it("the client's options interface is what its schema takes", () => {
  expectTypeOf<z.input<typeof ingestClientOptionsSchema>>().toEqualTypeOf<IngestClientOptions>();
});
