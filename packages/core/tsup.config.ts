import { defineConfig } from "tsup";

export default defineConfig({
  entry: [
    "src/index.ts",
    "src/buffer/index.ts",
    "src/buffer/maintenance-worker.ts",
    "src/buffer/cli/main.ts",
    "src/ops/index.ts",
    "src/testing.ts",
  ],
  format: ["esm"],
  target: "node22",
  platform: "node",
  dts: false,
  sourcemap: true,
  removeNodeProtocol: false,
  clean: true,
});
