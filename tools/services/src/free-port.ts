import { randomInt } from "node:crypto";
import { createServer } from "node:net";
import { ServiceError } from "./service-error.ts";

/** The lowest port that {@link freePort} hands out. */
const LOWEST_PORT = 12_000;
/** One above the highest. With Redis Cluster's bus at +10,000, everything stays below 32,768. */
const PORT_LIMIT = 22_000;

const handedOut = new Set<number>();

/**
 * Finds a loopback port that nothing listens on and that this process has not handed out before.
 *
 * Ports come from 12,000 to 21,999, below the range from which the kernel takes the local port of outgoing
 * connections. A port from that range can be taken while a killed server is down, and a client that keeps
 * reconnecting to it can even connect to itself.
 *
 * @param reservedOffsets - Further ports, relative to the result, that must be free too.
 * @throws {@link ServiceError} `SERVICES_NOT_FOUND` when 200 tries found none.
 */
export async function freePort(reservedOffsets: readonly number[] = []): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const port = randomInt(LOWEST_PORT, PORT_LIMIT);
    if (handedOut.has(port)) continue;
    const wanted = [port, ...reservedOffsets.map((offset) => port + offset)];
    const free = await Promise.all(wanted.map(isFree));
    // Asked again: another caller may have been handed the same port while this one probed.
    if (!free.every(Boolean) || handedOut.has(port)) continue;
    handedOut.add(port);
    return port;
  }
  throw new ServiceError(
    "SERVICES_NOT_FOUND",
    `Found no free port in 200 tries between ${LOWEST_PORT} and ${PORT_LIMIT - 1}; end what occupies them.`,
  );
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen({ port, host: "127.0.0.1", exclusive: true }, () => {
      probe.close(() => resolve(true));
    });
  });
}
