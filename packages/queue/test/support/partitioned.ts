import { afterEach } from "vitest";
import { type Fixture, openFixture } from "./fixture.ts";
import { connect } from "./redis.ts";

/** Processes of one system that split their role into different numbers of partitions. */
export function usePartitioned() {
  /** Closed after each test, the last first. */
  const opened: Fixture[] = [];
  afterEach(async () => {
    for (const fixture of opened.splice(0).toReversed()) await fixture.close();
  });
  return {
    opened,
    /** Opens another process of the system that the first one opened belongs to. */
    open: async (partitions: number): Promise<Fixture> => {
      const [shared] = opened;
      const options = shared && { prefix: shared.prefix, tenants: shared.tenants };
      const fixture = await openFixture({ partitions, ...options }, connect());
      opened.push(fixture);
      return fixture;
    },
  };
}

/** Name of the partition that a tenant lives in. */
export function homeOf({ client, queue }: Fixture, tenantId: string): Promise<string | null> {
  return client.hget(`${queue.keys.gate}homes`, tenantId);
}
