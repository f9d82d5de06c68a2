import { defineConfig } from "tsup";

export default defineConfig({
  entry: ["src/index.ts", "src/child/index.ts", "src/container/index.ts"],
  format: ["esm"],
  target: "node22",
  platform: "node",
  dts: false,
  sourcemap: true,
  removeNodeProtocol: false,
  clean: true,
});
