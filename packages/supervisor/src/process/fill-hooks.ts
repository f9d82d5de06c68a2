import type { ResolvedHook } from "../options/hook-options.ts";
import { interpolate, type Variables } from "./interpolate.ts";

/** Hooks with the variables of one instance filled in. */
export function fillHooks(hooks: readonly ResolvedHook[], variables: Variables): ResolvedHook[] {
  const fill = (text: string): string => interpolate(text, variables);
  return hooks.map((hook) => ({
    ...hook,
    command: hook.command.map(fill),
    env: Object.fromEntries(Object.entries(hook.env).map(([name, value]) => [name, fill(value)])),
  }));
}
