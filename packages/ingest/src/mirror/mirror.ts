import { type Logger, LogThrottle, type MetricsRegistry, publishMetric } from "@millrace/core";
import { tokenHash } from "../auth/token-hash.ts";
import type { NamedToken } from "../ingest-options.ts";
import { retainBytes } from "../client/retained-bytes.ts";
import { HttpLink } from "./http-link.ts";
import type { ResolvedMirrorUpstream } from "./mirror-options.ts";
import { TcpLink } from "./tcp-link.ts";
import type { UpstreamLink } from "./upstream-link.ts";
import { type MirrorUpstreamStatus, UpstreamMirror } from "./upstream-mirror.ts";

const DEFAULT_PORT = 2407;
const TCP_TIMEOUT_MS = 500;
const HTTP_TIMEOUT_MS = 5_000;

export interface MirrorOptions {
  upstreams: readonly ResolvedMirrorUpstream[];
  /** The server's own, for upstreams that have none of theirs. */
  tokens: ReadonlyArray<string | NamedToken>;
  logger: Logger;
}

/** Copies of stored payloads, on their way to other servers. */
export class Mirror {
  readonly #upstreams: readonly UpstreamMirror[];

  private constructor(upstreams: readonly UpstreamMirror[]) {
    this.#upstreams = upstreams;
  }

  /** Hashes the tokens; connects to nothing. */
  static async create({ upstreams, tokens, logger }: MirrorOptions): Promise<Mirror> {
    const hashes = await hashesByName(tokens);
    const throttle = new LogThrottle(logger);
    return new Mirror(
      await Promise.all(
        upstreams.map(async (upstream) => {
          const link = await createLink(upstream, hashes);
          return new UpstreamMirror({ ...upstream, link, throttle });
        }),
      ),
    );
  }

  /** Queues a copy for every upstream. The payload must not change any more. Never throws. */
  forward(payload: Uint8Array, token: string): void {
    if (this.#upstreams.length === 0) return;
    const { bytes, heldBytes } = retainBytes(payload);
    for (const upstream of this.#upstreams) upstream.forward({ payload: bytes, token, heldBytes });
  }

  status(): Record<string, MirrorUpstreamStatus> {
    return Object.fromEntries(
      this.#upstreams.map((upstream) => [upstream.name, upstream.status()]),
    );
  }

  /** Publishes the counters of all upstreams. @returns a function that withdraws them. */
  publish(registry: MetricsRegistry): () => void {
    if (this.#upstreams.length === 0) return () => {};
    const withdrawPayloads = publishMetric(
      registry,
      {
        type: "counter",
        name: "millrace_ingest_mirror_payloads_total",
        help: "Copies of payloads for an upstream, by what became of them.",
        labelNames: ["upstream", "outcome"],
      },
      () =>
        Object.entries(this.status()).flatMap(([upstream, { payloads }]) =>
          Object.entries(payloads).map(([outcome, value]) => ({
            labels: { upstream, outcome },
            value,
          })),
        ),
    );
    const withdrawBytes = publishMetric(
      registry,
      {
        type: "gauge",
        name: "millrace_ingest_mirror_queue_bytes",
        help: "Memory in copies that wait or are on their way.",
        labelNames: ["upstream"],
      },
      () =>
        Object.entries(this.status()).map(([upstream, { queuedBytes }]) => ({
          labels: { upstream },
          value: queuedBytes,
        })),
    );
    return () => {
      withdrawPayloads();
      withdrawBytes();
    };
  }

  /** Empties the queues until `signal` fires, then drops what is left. */
  async close(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#upstreams.map((upstream) => upstream.close(signal)));
  }
}

/** Several tokens may share a name; the first of them stands for it. */
async function hashesByName(
  tokens: ReadonlyArray<string | NamedToken>,
): Promise<ReadonlyMap<string, string>> {
  const hashes = new Map<string, string>();
  for (const entry of tokens) {
    const hash = await tokenHash(typeof entry === "string" ? entry : entry.token);
    const name = typeof entry === "string" ? hash : entry.name;
    if (!hashes.has(name)) hashes.set(name, hash);
  }
  return hashes;
}

async function createLink(
  { host, port, token, url, headers, timeoutMs, concurrency }: ResolvedMirrorUpstream,
  hashes: ReadonlyMap<string, string>,
): Promise<UpstreamLink> {
  if (url !== undefined) {
    return HttpLink.create({
      url,
      headers: headers ?? {},
      timeoutMs: timeoutMs ?? HTTP_TIMEOUT_MS,
      concurrency,
    });
  }
  const own = await tokenHash(token ?? "");
  return new TcpLink({
    host: host ?? "127.0.0.1",
    port: port ?? DEFAULT_PORT,
    timeoutMs: timeoutMs ?? TCP_TIMEOUT_MS,
    tokenHash: (name) => (token === undefined ? (hashes.get(name) ?? own) : own),
  });
}
