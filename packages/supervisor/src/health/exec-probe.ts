import type { SupervisorHost } from "../host/supervisor-host.ts";
import type { CommandPlace } from "../process/run-command.ts";
import type { Probe } from "./probe.ts";

/** Passes when a command exits with 0; a probe that takes too long is killed with its children. */
export function execProbe(
  command: readonly string[],
  place: CommandPlace,
  timeoutMs: number,
  host: SupervisorHost,
): Probe {
  return async (signal) => {
    const { outcome, reason } = await host.runCommand(command, place, timeoutMs, signal);
    return { passed: outcome === "succeeded", reason };
  };
}
