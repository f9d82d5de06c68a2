import { BlockList, isIP } from "node:net";
import * as z from "zod";

/** Who may connect. */
export interface AddressRules {
  /** Addresses and CIDR ranges that may connect; empty for everybody. */
  allow: readonly string[];
  /** Addresses and CIDR ranges that may not connect, even if `allow` has them. */
  deny: readonly string[];
}

/** Schema of one rule: an address, or a range in CIDR notation. */
export const addressRuleSchema = z
  .string()
  .refine(isAddressOrRange, "expected an address or a range, as 10.0.0.7 or 10.0.0.0/8");

/**
 * Decides by its address whether a peer may connect. An IPv4 peer of an IPv6 socket, as
 * `::ffff:10.0.0.7`, counts under its IPv4 address.
 *
 * @example
 * ```ts
 * import { AddressFilter } from "@millrace/core";
 *
 * const filter = new AddressFilter({ allow: ["10.0.0.0/8"], deny: ["10.0.0.1"] });
 * filter.allows("10.0.0.7"); // true
 * ```
 */
export class AddressFilter {
  readonly #allowed: BlockList | undefined;
  readonly #denied: BlockList | undefined;

  /** @throws where a rule is neither an address nor a range: see {@link addressRuleSchema}. */
  constructor({ allow, deny }: AddressRules) {
    this.#allowed = allow.length > 0 ? listOf(allow) : undefined;
    this.#denied = deny.length > 0 ? listOf(deny) : undefined;
  }

  /** A peer of unknown address, because it has gone already, passes only where there are no rules. */
  allows(address: string | undefined): boolean {
    if (this.#allowed === undefined && this.#denied === undefined) return true;
    if (address === undefined || isIP(address) === 0) return false;
    const family = isIP(address) === 6 ? "ipv6" : "ipv4";
    if (this.#denied?.check(address, family) === true) return false;
    return this.#allowed === undefined || this.#allowed.check(address, family);
  }
}

function listOf(rules: readonly string[]): BlockList {
  const list = new BlockList();
  for (const rule of rules) addRule(list, rule);
  return list;
}

function isAddressOrRange(text: string): boolean {
  try {
    addRule(new BlockList(), text);
    return true;
  } catch {
    return false;
  }
}

function addRule(list: BlockList, text: string): void {
  const [address = "", prefix, ...rest] = text.split("/");
  const family = isIP(address) === 6 ? "ipv6" : "ipv4";
  if (prefix === undefined) list.addAddress(address, family);
  else if (/^\d+$/.test(prefix) && rest.length === 0) {
    list.addSubnet(address, Number(prefix), family);
  } else throw new TypeError(`${text} is not an address range`);
}
