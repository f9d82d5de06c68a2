import { BlockList, isIP, type Socket } from "node:net";
import type { RefusalReason } from "../refusal.ts";
import { addRule } from "./listen-options.ts";

export interface AdmissionOptions {
  maxConnections: number;
  /** 0 for no limit. */
  maxConnectionsPerAddress: number;
  allow: readonly string[];
  deny: readonly string[];
}

/** Decides which connections come in, before anything of them is read, and counts those that did. */
export class Admission {
  readonly #options: AdmissionOptions;
  readonly #allowed: BlockList | undefined;
  readonly #denied: BlockList;
  readonly #open = new Set<Socket>();
  readonly #openByAddress = new Map<string, number>();

  constructor(options: AdmissionOptions) {
    this.#options = options;
    this.#allowed = options.allow.length > 0 ? listOf(options.allow) : undefined;
    this.#denied = listOf(options.deny);
  }

  get maxConnections(): number {
    return this.#options.maxConnections;
  }

  get openConnections(): number {
    return this.#open.size;
  }

  /** Why this connection may not come in. */
  refusal(socket: Socket): RefusalReason | undefined {
    const { maxConnections, maxConnectionsPerAddress } = this.#options;
    const address = peerAddress(socket);
    if (!this.mayConnect(address)) return "address";
    if (this.#open.size >= maxConnections) return "too_many_connections";
    if (address === undefined || maxConnectionsPerAddress === 0) return undefined;
    const isFull = (this.#openByAddress.get(address) ?? 0) >= maxConnectionsPerAddress;
    return isFull ? "too_many_connections_per_address" : undefined;
  }

  /** Counts a connection until it closes. */
  admit(socket: Socket): void {
    const address = peerAddress(socket) ?? "";
    this.#open.add(socket);
    this.#openByAddress.set(address, (this.#openByAddress.get(address) ?? 0) + 1);
    socket.once("close", () => {
      this.#open.delete(socket);
      const left = (this.#openByAddress.get(address) ?? 1) - 1;
      if (left > 0) this.#openByAddress.set(address, left);
      else this.#openByAddress.delete(address);
    });
  }

  destroyAll(): void {
    for (const socket of this.#open) socket.destroy();
  }

  /** A peer whose address is unknown has reset already, or came over a Unix socket. */
  mayConnect(address: string | undefined): boolean {
    if (address === undefined) return this.#allowed === undefined;
    const family = isIP(address) === 6 ? "ipv6" : "ipv4";
    if (this.#denied.check(address, family)) return false;
    return this.#allowed === undefined || this.#allowed.check(address, family);
  }
}

/** An IPv4 peer of an IPv6 socket counts under its IPv4 address. */
function peerAddress({ remoteAddress }: Socket): string | undefined {
  return remoteAddress?.startsWith("::ffff:") && remoteAddress.includes(".")
    ? remoteAddress.slice("::ffff:".length)
    : remoteAddress;
}

function listOf(rules: readonly string[]): BlockList {
  const list = new BlockList();
  for (const rule of rules) addRule(list, rule);
  return list;
}
