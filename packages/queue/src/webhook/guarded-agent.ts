import { lookup as resolve, type LookupAddress } from "node:dns";
import { isIP } from "node:net";
import { Agent } from "undici";
import { queueError } from "../errors.ts";
import { isPrivateAddress } from "./private-addresses.ts";

type Resolve = (
  hostname: string,
  done: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

export interface GuardedAgentOptions {
  /** Hosts that may be private, by name or address. */
  allowedHosts: ReadonlySet<string>;
  connectTimeoutMs: number;
  /** Resolves a name to all its addresses, for tests. @default node:dns */
  resolveName?: Resolve | undefined;
}

const systemResolve: Resolve = (hostname, done) => resolve(hostname, { all: true }, done);

/**
 * An undici agent that connects to public addresses only.
 *
 * The check is made on the very addresses that the socket then connects to: a name that resolves to
 * something else a moment later (DNS rebinding) has no second chance.
 */
export function createGuardedAgent(options: GuardedAgentOptions): Agent {
  const resolveName = options.resolveName ?? systemResolve;
  return new Agent({
    allowH2: false,
    connect: {
      timeout: options.connectTimeoutMs,
      lookup(hostname, { all }, callback) {
        resolveName(hostname, (error, addresses) => {
          const [first] = addresses ?? [];
          if (error ?? !first) return callback(error ?? noAddress(hostname), []);
          const isAllowed = options.allowedHosts.has(hostname);
          const hidden = addresses.find(({ address }) => isPrivateAddress(address));
          if (hidden && !isAllowed)
            return callback(refused(hostname, notPublic(hidden.address)), []);
          // Without its choice among families (--no-network-family-autoselection) Node.js asks for one.
          return all ? callback(null, addresses) : callback(null, first.address, first.family);
        });
      },
    },
  });
}

/**
 * Checks what can be seen of a URL without resolving it.
 *
 * @throws {@link MillraceError} `QUEUE_URL_REFUSED`.
 */
export function assertPublicUrl(text: string, allowedHosts: ReadonlySet<string>): void {
  const url = URL.parse(text);
  if (url === null) throw refused(text, "it is no URL");
  const host = url.hostname.startsWith("[") ? url.hostname.slice(1, -1) : url.hostname;
  if (url.protocol !== "https:" && url.protocol !== "http:")
    throw refused(url.href, "it is not HTTP");
  if (url.username !== "" || url.password !== "")
    throw refused(host, "its URL has credentials in it");
  // Sockets connect to a literal address without a lookup.
  if (isIP(host) !== 0 && isPrivateAddress(host) && !allowedHosts.has(host))
    throw refused(host, notPublic(host));
}

function noAddress(hostname: string): Error {
  return new Error(`${hostname} has no address`);
}

function notPublic(address: string): string {
  return `${address} is not public: add the host to allowedHosts if it may be called`;
}

function refused(host: string, why: string) {
  return queueError("QUEUE_URL_REFUSED", `${host} may not be called, ${why}`, {
    details: { host },
  });
}
