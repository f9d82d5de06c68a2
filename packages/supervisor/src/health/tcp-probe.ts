import { connect } from "node:net";
import type { Probe } from "./probe.ts";

/** Passes when a connection is accepted. */
export function tcpProbe(host: string, port: number): Probe {
  return (signal) =>
    new Promise((resolve) => {
      const socket = connect({ host, port }).unref();
      const finish = (passed: boolean, reason?: string): void => {
        signal.removeEventListener("abort", onAbort);
        socket.destroy();
        resolve({ passed, reason });
      };
      const onAbort = (): void => finish(false, `${host}:${port} did not answer in time`);
      signal.addEventListener("abort", onAbort);
      socket.once("connect", () => finish(true));
      socket.once("error", (error) => finish(false, `${host}:${port}: ${error.message}`));
    });
}
