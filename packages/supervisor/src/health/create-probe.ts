import type { SupervisorHost } from "../host/supervisor-host.ts";
import type { ResolvedProbe } from "../options/probe-options.ts";
import { interpolate, type Variables } from "../process/interpolate.ts";
import type { CommandPlace } from "../process/run-command.ts";
import { execProbe } from "./exec-probe.ts";
import { fileProbe } from "./file-probe.ts";
import { httpProbe } from "./http-probe.ts";
import { type ChildSignals, ipcHeartbeatProbe, ipcReadyProbe } from "./ipc-probe.ts";
import type { Probe } from "./probe.ts";
import { tcpProbe } from "./tcp-probe.ts";

/** What a probe may depend on: the one instance it watches. */
export interface ProbeSubject {
  variables: Variables;
  context: CommandPlace;
  signals: ChildSignals;
  /** When the run began, in milliseconds since the epoch. */
  startedAtMs: number;
  host: SupervisorHost;
}

/** Makes the probe of one instance from the options of its process. */
export function createProbe(
  options: ResolvedProbe,
  role: "startup" | "readiness" | "liveness",
  { variables, context, signals, startedAtMs, host }: ProbeSubject,
): Probe {
  const fill = (text: string): string => interpolate(text, variables);
  switch (options.type) {
    case "tcp":
      return tcpProbe(fill(options.host), Number(fill(String(options.port))));
    case "http":
      return httpProbe({
        host: fill(options.host),
        port: Number(fill(String(options.port ?? "${PORT:-80}"))),
        socketPath: options.socket === undefined ? undefined : fill(options.socket),
        path: options.path,
        headers: options.headers,
        status: options.status,
        bodyIncludes: options.bodyIncludes,
      });
    case "exec":
      return execProbe(options.command.map(fill), context, options.timeoutMs, host);
    case "file":
      return fileProbe(fill(options.path), startedAtMs);
    case "ipc":
      return role === "liveness"
        ? ipcHeartbeatProbe(signals, options.timeoutMs, host.clock)
        : ipcReadyProbe(signals);
    default:
      return options satisfies never;
  }
}
