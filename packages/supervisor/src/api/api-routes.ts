import * as z from "zod";
import {
  acceptedSchema,
  decisionSchema,
  explanationSchema,
  externalSchema,
  flatInstanceSchema,
  logsSchema,
  operationSchema,
  processSchema,
  readinessSchema,
  runsSchema,
  scheduleHistorySchema,
  scheduleSchema,
  triggeredSchema,
  scaleAcceptedSchema,
} from "./api-schemas.ts";
import { API_SCOPES, type RouteKey } from "./api-scopes.ts";
import type { Scope } from "./authentication.ts";
import { scaleRequestSchema } from "./scale-request.ts";

/** One path of the management API, as it is documented and guarded. */
export interface ApiRoute {
  method: "get" | "post";
  /** OpenAPI notation: `{name}`. */
  path: string;
  /** `undefined` needs no token. */
  scope: Scope | undefined;
  summary: string;
  status: number;
  /** Schema of the answer; text where it isn't JSON. */
  answer: z.ZodType | "text/plain" | "text/event-stream";
  request?: z.ZodType | undefined;
  query?: Readonly<Record<string, string>> | undefined;
  errors: readonly number[];
}

// An address that is refused is refused everywhere.
const OPEN = [403, 429] as const;
const GUARDED = [401, ...OPEN] as const;
const ON_PROCESS = [...GUARDED, 404, 409] as const;

function change(verb: string, summary: string): Omit<ApiRoute, "scope"> {
  return {
    method: "post",
    path: `/api/v1/processes/{name}/${verb}`,
    summary,
    status: 202,
    answer: acceptedSchema,
    errors: [...ON_PROCESS, 400, 413],
  };
}

function changeSchedule(verb: string, summary: string, status: 200 | 202): Omit<ApiRoute, "scope"> {
  return {
    method: "post",
    path: `/api/v1/processes/{name}/schedule/${verb}`,
    summary,
    status,
    answer: status === 202 ? triggeredSchema : scheduleSchema,
    errors: [...ON_PROCESS, 413],
  };
}

const DESCRIBED: ReadonlyArray<Omit<ApiRoute, "scope">> = [
  {
    method: "get",
    path: "/api/v1/health",
    summary: "Whether the management API answers.",
    status: 200,
    answer: z.object({ status: z.literal("healthy") }),
    errors: [...OPEN],
  },
  {
    method: "get",
    path: "/api/v1/ready",
    summary: "Whether every service, or what the option ready names, is ready; 503 when not.",
    status: 200,
    answer: readinessSchema,
    errors: [...OPEN, 503],
  },
  {
    method: "get",
    path: "/api/v1/openapi.json",
    summary: "This document.",
    status: 200,
    answer: z.looseObject({ openapi: z.string() }),
    errors: [...OPEN],
  },
  {
    method: "get",
    path: "/api/v1/processes",
    summary: "All processes with their instances; with flat=true an array of instances.",
    status: 200,
    answer: z.union([z.object({ processes: z.array(processSchema) }), z.array(flatInstanceSchema)]),
    query: { flat: "true for an array of instances" },
    errors: [...GUARDED],
  },
  {
    method: "get",
    path: "/api/v1/processes/{name}",
    summary: "One process with its instances.",
    status: 200,
    answer: processSchema,
    errors: [...GUARDED, 404],
  },
  {
    method: "post",
    path: "/api/v1/processes/{name}/scale",
    summary: "Change the number of instances, at once or in steps.",
    status: 202,
    answer: scaleAcceptedSchema,
    request: scaleRequestSchema,
    errors: [...ON_PROCESS, 400, 413, 422],
  },
  change("start", "Start a stopped process, or one instance as queue-5."),
  change("stop", "Stop a process, or one instance, which then stays down."),
  change("restart", "Replace the instances one after the other, or restart one instance."),
  change(
    "rollout",
    "Replace every instance by one of the next generation, or put the old one back.",
  ),
  change("rollback", "Roll out the generation before."),
  {
    method: "get",
    path: "/api/v1/processes/{name}/logs",
    summary: "Newest lines of a process or an instance.",
    status: 200,
    answer: logsSchema,
    query: { limit: "number of lines, 1 to 10,000; 100 without" },
    errors: [...GUARDED, 400, 404],
  },
  {
    method: "get",
    path: "/api/v1/processes/{name}/explain",
    summary: "Why a process or an instance is as it is, in words and with what led there.",
    status: 200,
    answer: explanationSchema,
    errors: [...GUARDED, 404],
  },
  {
    method: "get",
    path: "/api/v1/processes/{name}/runs",
    summary: "How the newest runs of a process ended.",
    status: 200,
    answer: runsSchema,
    query: { limit: "number of runs; 100 without" },
    errors: [...GUARDED, 400, 404],
  },
  {
    method: "get",
    path: "/api/v1/schedules",
    summary: "All schedules with their next runs.",
    status: 200,
    answer: z.object({ schedules: z.array(scheduleSchema) }),
    errors: [...GUARDED],
  },
  {
    method: "get",
    path: "/api/v1/processes/{name}/schedule",
    summary: "The schedule of a process with its next run.",
    status: 200,
    answer: scheduleSchema,
    errors: [...ON_PROCESS],
  },
  {
    method: "get",
    path: "/api/v1/processes/{name}/schedule/history",
    summary: "Newest runs of a schedule.",
    status: 200,
    answer: scheduleHistorySchema,
    query: { limit: "number of runs; 100 without" },
    errors: [...ON_PROCESS, 400],
  },
  changeSchedule("trigger", "Run a scheduled process now, by its overlap policy.", 202),
  changeSchedule("pause", "Let a schedule fire no more until it is resumed.", 200),
  changeSchedule("resume", "Let a paused schedule fire again.", 200),
  {
    method: "get",
    path: "/api/v1/operations/{id}",
    summary: "How far an operation is and how it ended.",
    status: 200,
    answer: operationSchema,
    errors: [...GUARDED, 404],
  },
  {
    method: "post",
    path: "/api/v1/operations/{id}/cancel",
    summary: "Stop an operation where it is; what it has done stays.",
    status: 200,
    answer: operationSchema,
    errors: [...GUARDED, 404, 413],
  },
  {
    method: "get",
    path: "/api/v1/logs",
    summary: "Newest lines of all processes.",
    status: 200,
    answer: logsSchema.omit({ process: true }),
    query: { limit: "number of lines, 1 to 10,000; 100 without" },
    errors: [...GUARDED, 400],
  },
  {
    method: "get",
    path: "/api/v1/events",
    summary: "Live events; continues after Last-Event-ID.",
    status: 200,
    answer: "text/event-stream",
    errors: [...GUARDED],
  },
  {
    method: "get",
    path: "/api/v1/autoscaler",
    summary: "Newest decisions of the autoscalers with their reasons.",
    status: 200,
    answer: z.object({ decisions: z.array(decisionSchema) }),
    errors: [...GUARDED],
  },
  {
    method: "get",
    path: "/api/v1/external/{name}",
    summary: "Desired count, for KEDA's metrics-api scaler and for scripts.",
    status: 200,
    answer: externalSchema,
    errors: [...GUARDED, 404],
  },
  {
    method: "get",
    path: "/metrics",
    summary: "Prometheus metrics.",
    status: 200,
    answer: "text/plain",
    errors: [...GUARDED],
  },
];

/** Every route there is. Loaded for the OpenAPI document alone: its schemas take a megabyte. */
export const API_ROUTES: readonly ApiRoute[] = DESCRIBED.map((route) => ({
  ...route,
  scope: API_SCOPES[`${route.method} ${route.path}` as RouteKey],
}));
