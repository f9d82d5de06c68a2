import { createTraffic, encodeFrame, hashToken, sendOnce } from "@millrace/load";

export interface LoadOptions {
  address: { host: string; port: number };
  token: string;
  run: string;
  seed: number;
  /** Connections at a time. */
  connections: number;
  types?: readonly string[] | undefined;
}

/** Clients that send until they are stopped, each payload on a connection of its own. */
export interface Load {
  /** Marks of records that must land: their payload was acknowledged. */
  readonly acknowledged: string[];
  /** Marks of records that may land: their payload was sent and never answered. */
  readonly unknown: string[];
  stop(): Promise<void>;
}

export async function startLoad(options: LoadOptions): Promise<Load> {
  const traffic = createTraffic({ ...options, maxRecords: 3 });
  const tokenHash = await hashToken(options.token);
  const acknowledged: string[] = [];
  const unknown: string[] = [];
  let isStopped = false;
  const send = async () => {
    while (!isStopped) {
      const { body, marks } = traffic.next();
      const outcome = await sendOnce(options.address, encodeFrame(body, tokenHash));
      if (outcome === "acknowledged") acknowledged.push(...marks);
      else if (outcome === "unknown") unknown.push(...marks);
      // A server that is down refuses at once: without a pause this would spin.
      else await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  const senders = Array.from({ length: options.connections }, send);
  return {
    acknowledged,
    unknown,
    async stop() {
      isStopped = true;
      await Promise.all(senders);
    },
  };
}
