import type { Component, Health } from "./component.ts";
import { messageOf } from "./errors.ts";

/** Health of several components together. */
export interface HealthReport extends Health {
  components: Array<Health & { name: string; state: string }>;
}

/** Asks every component; the whole is healthy only when each of them is. */
export function checkHealth(components: readonly Component[]): HealthReport {
  const reports = components.map((component) => ({
    name: component.name,
    state: component.state,
    ...askHealth(component),
  }));
  const sick = reports.filter(({ healthy }) => !healthy);
  if (sick.length === 0) return { healthy: true, components: reports };
  return {
    healthy: false,
    reason: sick.map(({ name, reason }) => `${name}: ${reason ?? "unhealthy"}`).join("; "),
    components: reports,
  };
}

function askHealth(component: Component): Health {
  try {
    return component.health();
  } catch (error) {
    return { healthy: false, reason: messageOf(error) };
  }
}

/** Ready for traffic: every component runs and none of them is unhealthy. */
export function checkReadiness(components: readonly Component[]): HealthReport {
  const report = checkHealth(components);
  const absent = components.filter(({ state }) => state !== "running");
  if (absent.length === 0) return report;
  return {
    ...report,
    healthy: false,
    reason: absent.map(({ name, state }) => `${name} is ${state}`).join("; "),
  };
}
