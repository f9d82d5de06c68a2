import { silentLogger } from "@millrace/core";
import type { ProcessOptions, Supervisor } from "@millrace/supervisor";
import { Registry } from "prom-client";
import { createSupervisorOn } from "../../src/supervisor.ts";
import { SimulatedHost } from "./simulated-host.ts";

/** A supervisor of one process, `worker`, on a computer that is made up. */
export interface Simulation {
  host: SimulatedHost;
  supervisor: Supervisor;
  /** Closes it and says what is left. */
  close(): Promise<string[]>;
}

/** Starts one; a second later everything has begun that isn't in anybody's way. */
export async function simulate(options: Partial<ProcessOptions>, seed = 1): Promise<Simulation> {
  const host = new SimulatedHost(seed);
  const supervisor = createSupervisorOn(host, {
    processes: { worker: { command: ["worker"], ...options } },
    env: {},
    logger: silentLogger,
    metrics: new Registry(),
  });
  const starting = supervisor.start();
  await host.clock.advance(1_000);
  await starting;
  return {
    host,
    supervisor,
    close: async () => {
      let isClosed = false;
      const closing = supervisor.close().then(() => (isClosed = true));
      await host.clock.advanceUntil(() => isClosed, 600_000);
      await closing;
      return host.leftovers();
    },
  };
}
