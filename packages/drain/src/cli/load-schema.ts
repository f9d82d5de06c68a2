import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { nightwatch } from "../nightwatch/index.ts";
import type { DrainSchema } from "../schema/drain-schema.ts";
import type { TableDefinition } from "../schema/table.ts";

/** The schema that a JavaScript module exports; `nightwatch()` when none is named. */
export async function loadSchema(
  path: string | undefined,
): Promise<DrainSchema | TableDefinition[]> {
  if (path === undefined) return nightwatch();
  const loaded = (await import(pathToFileURL(resolve(path)).href)) as Record<string, unknown>;
  const schema = loaded["schema"] ?? loaded["default"];
  if (typeof schema !== "object" || schema === null) {
    throw new TypeError(`${path} exports no schema: export it as "schema" or by default`);
  }
  return schema as DrainSchema | TableDefinition[];
}
