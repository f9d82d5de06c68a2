import { BlockList, isIP, isIPv6 } from "node:net";

/** Special-purpose ranges of IANA's registries (RFC 6890 and its successors): nothing public is there. */
const RANGES: Array<[address: string, prefix: number, family: "ipv4" | "ipv6"]> = [
  ["0.0.0.0", 8, "ipv4"],
  ["10.0.0.0", 8, "ipv4"],
  ["100.64.0.0", 10, "ipv4"],
  ["127.0.0.0", 8, "ipv4"],
  ["169.254.0.0", 16, "ipv4"],
  ["172.16.0.0", 12, "ipv4"],
  ["192.0.0.0", 24, "ipv4"],
  ["192.0.2.0", 24, "ipv4"],
  ["192.88.99.0", 24, "ipv4"],
  ["192.168.0.0", 16, "ipv4"],
  ["198.18.0.0", 15, "ipv4"],
  ["198.51.100.0", 24, "ipv4"],
  ["203.0.113.0", 24, "ipv4"],
  ["224.0.0.0", 4, "ipv4"],
  ["240.0.0.0", 4, "ipv4"],
  // All of what is not global unicast, and those parts of it that hold or reach IPv4 addresses.
  ["::", 3, "ipv6"],
  ["4000::", 2, "ipv6"],
  ["8000::", 1, "ipv6"],
  ["2001::", 23, "ipv6"],
  ["2001:db8::", 32, "ipv6"],
  ["2002::", 16, "ipv6"],
];

const blocked = new BlockList();
for (const [address, prefix, family] of RANGES) blocked.addSubnet(address, prefix, family);

/** True for an address that is not on the public internet; also for what is no address. */
export function isPrivateAddress(address: string): boolean {
  const plain = address.startsWith("[") ? address.slice(1, -1) : address;
  if (isIP(plain) === 0) return true;
  return blocked.check(plain, isIPv6(plain) ? "ipv6" : "ipv4");
}
