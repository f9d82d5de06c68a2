import { AddressFilter, addressRuleSchema } from "../src/address-filter.ts";
import { expect, test } from "vitest";

test.each([
  ["everybody, without rules", [], [], "203.0.113.9", true],
  ["an address of allow", ["10.0.0.7"], [], "10.0.0.7", true],
  ["an address in a range of allow", ["10.0.0.0/8"], [], "10.255.255.255", true],
  ["nobody else", ["10.0.0.0/8"], [], "11.0.0.0", false],
  ["everybody but deny", [], ["10.0.0.0/8"], "11.0.0.0", true],
  ["deny over allow", ["10.0.0.0/8"], ["10.0.0.7"], "10.0.0.7", false],
  ["IPv4 in IPv6 by its IPv4 address", ["10.0.0.0/8"], [], "::ffff:10.1.2.3", true],
  ["IPv4 in IPv6, in hexadecimal too", [], ["10.0.0.0/8"], "::ffff:0a01:0203", false],
  ["a rule in that notation", [], ["::ffff:10.1.2.3"], "10.1.2.3", false],
  ["IPv6", ["fd00::/8"], [], "fd12::1", true],
  ["a link-local address with its zone", ["fe80::/10"], [], "fe80::1%eth0", true],
  ["IPv6 by no rule of IPv4", ["0.0.0.0/0"], [], "::1", false],
  ["what is no address, without rules", [], [], undefined, true],
  ["what is no address, never with allow", ["0.0.0.0/0"], [], undefined, false],
  ["what is no address, never with deny", [], ["10.0.0.7"], "unknown", false],
])("%s: allow %j, deny %j, %s comes in: %s", (_, allow, deny, address, comesIn) => {
  expect(new AddressFilter({ allow, deny }).allows(address)).toBe(comesIn);
});

test.each(["10.0.0.0/33", "10.0.0", "example.com", "fd00::/129", "10.0.0.0/8/8", "10.0.0.0/", ""])(
  "%j is no rule",
  (rule) => {
    expect(addressRuleSchema.safeParse(rule).success).toBe(false);
    expect(() => new AddressFilter({ allow: [], deny: [rule] })).toThrow(/address|range/i);
  },
);
