import { isIPv4 } from "node:net";

/** Whether a host is this machine's loopback; `127.evil.example` is a name, not an address. */
export function isLoopback(host: string): boolean {
  if (host === "localhost" || host === "::1" || host === "[::1]") return true;
  return isIPv4(host) && host.startsWith("127.");
}
