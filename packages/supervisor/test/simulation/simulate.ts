import { silentLogger } from "@millrace/core";
import type { ProcessOptions, Supervisor, SupervisorOptions } from "@millrace/supervisor";
import { Registry } from "prom-client";
import { createSupervisorOn } from "../../src/supervisor.ts";
import { SimulatedHost } from "./simulated-host.ts";

/** A supervisor on a computer that is made up. */
export interface Simulation {
  host: SimulatedHost;
  supervisor: Supervisor;
  /** Closes it and says what is left. */
  readonly close: () => Promise<string[]>;
}

/** Starts one of a single process, `worker`; a second later all that can begin has begun. */
export async function simulate(options: Partial<ProcessOptions>, seed = 1): Promise<Simulation> {
  const simulation = prepare({ worker: { command: ["worker"], ...options } }, seed);
  const starting = simulation.supervisor.start();
  await simulation.host.clock.advance(1_000);
  await starting;
  return simulation;
}

/** One that has not been started. */
export function prepare(
  processes: SupervisorOptions["processes"],
  seed = 1,
  options: Partial<SupervisorOptions> = {},
  epochMs?: number,
): Simulation {
  const host = new SimulatedHost(seed, epochMs);
  const supervisor = createSupervisorOn(host, {
    processes,
    env: {},
    logger: silentLogger,
    metrics: new Registry(),
    ...options,
  });
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
