import type { Scope } from "./authentication.ts";

/** Every route there is, by method and path, and what it asks of a token; `undefined` needs none. */
export const API_SCOPES = {
  "get /api/v1/autoscaler": "read",
  "get /api/v1/events": "read",
  "get /api/v1/external/{name}": "read",
  "get /api/v1/health": undefined,
  "get /api/v1/logs": "read",
  "get /api/v1/openapi.json": undefined,
  "get /api/v1/operations/{id}": "read",
  "post /api/v1/operations/{id}/cancel": "write",
  "get /api/v1/processes": "read",
  "get /api/v1/processes/{name}": "read",
  "get /api/v1/processes/{name}/explain": "read",
  "get /api/v1/processes/{name}/logs": "read",
  "post /api/v1/processes/{name}/restart": "write",
  "post /api/v1/processes/{name}/rollback": "write",
  "post /api/v1/processes/{name}/rollout": "write",
  "get /api/v1/processes/{name}/runs": "read",
  "post /api/v1/processes/{name}/scale": "write",
  "get /api/v1/processes/{name}/schedule": "read",
  "get /api/v1/processes/{name}/schedule/history": "read",
  "post /api/v1/processes/{name}/schedule/pause": "write",
  "post /api/v1/processes/{name}/schedule/resume": "write",
  "post /api/v1/processes/{name}/schedule/trigger": "write",
  "post /api/v1/processes/{name}/start": "write",
  "post /api/v1/processes/{name}/stop": "write",
  "get /api/v1/ready": undefined,
  "get /api/v1/schedules": "read",
  "get /metrics": "read",
} as const satisfies Record<string, Scope | undefined>;

/** A method and a path, as `get /api/v1/processes/{name}`. */
export type RouteKey = keyof typeof API_SCOPES;
