import { defineConfig } from "tsup";
import { library } from "../../tsup.base.ts";

export default defineConfig({
  ...library,
  entry: [
    "src/index.ts",
    "src/alerts/index.ts",
    "src/audit/cli/main.ts",
    "src/dead-letters/cli/main.ts",
    "src/nightwatch/index.ts",
    "src/otel/index.ts",
    "src/worker-entry.ts",
  ],
});
