import { readFileSync } from "node:fs";
import type { RedisClient } from "./redis-client.ts";
import { throughSlotMove } from "./slot-move.ts";

/** Scripts of the gate: all take its two keys and three arguments; see lua/library/base.lua. */
const GATE_SCRIPTS = [
  "acquire",
  "add",
  "await-callback",
  "cancel",
  "configure-tenant",
  "count-unmatched",
  "feed",
  "forget",
  "mark-moved",
  "reconcile",
  "register-callback",
  "renew",
  "restage",
  "resume",
  "settle",
  "stage",
  "status",
  "tick",
  "unmark-moved",
] as const;

/** Scripts that stand alone. */
const PLAIN_SCRIPTS = [
  "block-bucket",
  "publish-event",
  "reserve-tokens",
  "save-tenant",
  "settle-tokens",
] as const;

export type ScriptName = (typeof GATE_SCRIPTS)[number] | (typeof PLAIN_SCRIPTS)[number];

type ScriptArgument = string | number;
type ScriptCommand = (...values: ScriptArgument[]) => Promise<unknown>;

let sources: Map<ScriptName, string> | undefined;
const prepared = new WeakSet<RedisClient>();

/** Makes every script callable on `client`; ioredis sends the hash and the text only when Redis lacks it. */
export function prepareScripts(client: RedisClient): void {
  if (prepared.has(client)) return;
  for (const [name, lua] of readSources()) {
    const numberOfKeys = isGateScript(name) ? 2 : 1;
    client.defineCommand(commandName(name), { numberOfKeys, lua });
  }
  prepared.add(client);
}

/** Runs a script. `keys` route it in a cluster; `args` follow as ARGV. */
export function runScript(
  client: RedisClient,
  name: ScriptName,
  keys: readonly string[],
  args: readonly ScriptArgument[],
): Promise<unknown> {
  const command = Reflect.get(client, commandName(name)) as ScriptCommand;
  return throughSlotMove(client, () => command.call(client, ...keys, ...args));
}

/** The name under which a script stands on a prepared client and on its transactions. */
export function commandName(name: ScriptName): string {
  return `millrace:${name}`;
}

function isGateScript(name: ScriptName): boolean {
  return (GATE_SCRIPTS as readonly ScriptName[]).includes(name);
}

function readSources(): Map<ScriptName, string> {
  sources ??= new Map(
    [...GATE_SCRIPTS, ...PLAIN_SCRIPTS].map((name) => [name, withLibrary(readLua(name))]),
  );
  return sources;
}

/**
 * Puts the parts of the library where a script asks for them. Redis makes every function of a script anew
 * on each call, which costs more than most calls do (12 microseconds for the whole library): a script
 * includes only what it needs, and what it needs rarely only in the branch that does.
 */
function withLibrary(lua: string): string {
  return lua.replaceAll(/^ *--- @include "(.+)"$/gm, (_, part: string) =>
    withLibrary(readLua(`library/${part}`)),
  );
}

function readLua(name: string): string {
  return readFileSync(new URL(`../lua/${name}.lua`, import.meta.url), "utf8");
}
