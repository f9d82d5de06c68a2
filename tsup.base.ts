import { copyFileSync } from "node:fs";
import type { Options } from "tsup";

/** How every package is built; its own tsup.config.ts names the entries. */
export const library: Options = {
  format: ["esm"],
  target: "node22",
  platform: "node",
  // tsc makes the declarations: tsup cannot with TypeScript 7.
  dts: false,
  sourcemap: true,
  removeNodeProtocol: false,
  // Only what is used of it, which takes import * as z: docs/decisions/0013.
  noExternal: ["zod"],
  onSuccess: () => {
    copyFileSync("../../node_modules/zod/LICENSE", "dist/LICENSE.zod.txt");
    return Promise.resolve();
  },
  clean: true,
};
