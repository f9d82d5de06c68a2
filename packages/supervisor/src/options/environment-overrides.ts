import { loadConfig } from "@millrace/core";
import * as z from "zod";
import { overridableShape } from "./process-schema.ts";

const overridesSchema = z.object(overridableShape);

/**
 * The processes with what `MILLRACE_PROCESS_<NAME>_<OPTION>` says about them on top; name and option
 * in upper snake case, as `MILLRACE_PROCESS_QUEUE_DEFAULT_SCALE=10`. `..._ENV_<VARIABLE>` sets a
 * variable of the children. Values are read by the type of the option, not by their look.
 */
export function applyEnvironmentOverrides(
  processes: unknown,
  env: Record<string, string | undefined>,
): unknown {
  if (typeof processes !== "object" || processes === null) return processes;
  return Object.fromEntries(
    Object.entries(processes).map(([name, options]) => [
      name,
      typeof options === "object" && options !== null
        ? merge(options, readOverrides(name, env))
        : (options as unknown),
    ]),
  );
}

function readOverrides(name: string, env: Record<string, string | undefined>): object {
  const prefix = `MILLRACE_PROCESS_${name.replaceAll("-", "_").toUpperCase()}`;
  const overrides = withoutUndefined(loadConfig(overridesSchema, { prefix, env }));
  const children = Object.entries(env).filter(([variable]) =>
    variable.startsWith(`${prefix}_ENV_`),
  );
  if (children.length === 0) return overrides;
  return {
    ...overrides,
    env: Object.fromEntries(
      children.map(([variable, value]) => [variable.slice(`${prefix}_ENV_`.length), value]),
    ),
  };
}

function withoutUndefined(value: object): object {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined));
}

function merge(base: object, overrides: object): object {
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(overrides) as Array<[string, unknown]>) {
    const below = merged[key];
    const both = isPlain(value) && isPlain(below);
    merged[key] = both ? merge(below, withoutUndefined(value)) : value;
  }
  return merged;
}

function isPlain(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
