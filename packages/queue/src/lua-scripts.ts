import { readFileSync } from "node:fs";
import type { RedisClient } from "./redis-client.ts";
import { throughSlotMove } from "./slot-move.ts";

/** Scripts that start with the gate's library. */
const GATE_SCRIPTS = [
  "acquire",
  "await-callback",
  "cancel",
  "configure-tenant",
  "feed",
  "forget",
  "mark-moved",
  "reconcile",
  "register-callback",
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
    client.defineCommand(commandName(name), { numberOfKeys: 1, lua });
  }
  prepared.add(client);
}

/**
 * Runs a script. `key` routes it in a cluster; `args` follow as ARGV. Gate scripts begin with a look at a
 * key that never exists, so that one whose slot moves ends before it has written anything.
 */
export function runScript(
  client: RedisClient,
  name: ScriptName,
  key: string,
  args: readonly ScriptArgument[],
): Promise<unknown> {
  const command = Reflect.get(client, commandName(name)) as ScriptCommand;
  return throughSlotMove(client, () => command.call(client, key, ...args));
}

/** The name under which a script stands on a prepared client and on its transactions. */
export function commandName(name: ScriptName): string {
  return `millrace:${name}`;
}

function readSources(): Map<ScriptName, string> {
  if (sources === undefined) {
    const library = readLua("gate");
    sources = new Map<ScriptName, string>();
    for (const name of GATE_SCRIPTS) sources.set(name, `${library}\n${readLua(name)}`);
    for (const name of PLAIN_SCRIPTS) sources.set(name, readLua(name));
  }
  return sources;
}

function readLua(name: string): string {
  return readFileSync(new URL(`../lua/${name}.lua`, import.meta.url), "utf8");
}
