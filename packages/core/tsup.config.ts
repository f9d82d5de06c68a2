import { defineConfig } from "tsup";
import { library } from "../../tsup.base.ts";

export default defineConfig({
  ...library,
  entry: [
    "src/index.ts",
    "src/buffer/index.ts",
    "src/buffer/maintenance-worker.ts",
    "src/buffer/cli/main.ts",
    "src/ops/index.ts",
    "src/testing.ts",
    "src/thread.ts",
  ],
});
