import type { Socket } from "node:net";
import { AddressFilter, type AddressRules } from "@millrace/core";
import type { RefusalReason } from "../refusal.ts";

export interface AdmissionOptions extends AddressRules {
  maxConnections: number;
  /** 0 for no limit. */
  maxConnectionsPerAddress: number;
}

/** Decides which connections come in, before anything of them is read, and counts those that did. */
export class Admission {
  readonly #options: AdmissionOptions;
  readonly #filter: AddressFilter;
  readonly #open = new Set<Socket>();
  readonly #openByAddress = new Map<string, number>();

  constructor(options: AdmissionOptions) {
    this.#options = options;
    this.#filter = new AddressFilter(options);
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

  /** A peer whose address is unknown has reset already, or came over a Unix socket, which has no rules. */
  mayConnect(address: string | undefined): boolean {
    return this.#filter.allows(address);
  }
}

/** An IPv4 peer of an IPv6 socket counts under its IPv4 address. */
function peerAddress({ remoteAddress }: Socket): string | undefined {
  return remoteAddress?.startsWith("::ffff:") && remoteAddress.includes(".")
    ? remoteAddress.slice("::ffff:".length)
    : remoteAddress;
}
