import type { Logger } from "@millrace/core";
import { tokenHash } from "../auth/token-hash.ts";
import type { ResolvedIngestOptions } from "../ingest-options.ts";
import type { BoundAddress } from "./listen-address.ts";
import { SelfProbe } from "./self-probe.ts";

/** A deaf listener is found within this, two waits of 4 s and the second between them. */
const DEFAULT_INTERVAL_MS = 5_000;
/** What a server without tokens takes as well as any other. */
const ANY_HASH = "0000000";

/** Starts the probe that the options ask for, if any, with the server's first token. */
export async function startSelfProbe(
  { probeIntervalMs, reusePort, listen, tls, tokens }: ResolvedIngestOptions,
  address: BoundAddress,
  logger: Logger,
): Promise<SelfProbe | undefined> {
  // On a socket that processes share, another one may answer for a deaf one, or the reverse.
  const isShared = reusePort || listen !== undefined;
  const intervalMs = probeIntervalMs ?? (isShared ? 0 : DEFAULT_INTERVAL_MS);
  if (intervalMs === 0) return undefined;
  const [first] = tokens;
  const token = typeof first === "object" ? first.token : first;
  return new SelfProbe({
    address,
    isTls: tls !== undefined,
    tokenHash: token === undefined ? ANY_HASH : await tokenHash(token),
    intervalMs,
    logger,
  });
}
