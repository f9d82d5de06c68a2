import type { Logger } from "@millrace/core";
import * as z from "zod";
import type { RedisConnectionInput } from "../redis-client.ts";
import {
  type PlanInput,
  planSchema,
  type RoleAllocationInput,
  roleOverridesSchema,
} from "./plan.ts";

/** Options of {@link createTenantStore}. */
export interface TenantStoreOptions {
  /** An ioredis client, which stays the caller's, or options for one of our own. */
  connection: RedisConnectionInput;
  /** Plans by name. */
  plans: Record<string, PlanInput>;
  /** Plan of tenants that were never stored; without one they are refused. */
  defaultPlan?: string | undefined;
  /** First part of the store's keys in Redis. @default "q" */
  prefix?: string | undefined;
  /**
   * How long this process may go on with a record that another one has changed, in milliseconds.
   * Running queues learn of a change at once; this is about what handlers read.
   *
   * @default 5_000
   */
  cacheMs?: number | undefined;
  /** pino-compatible. @default pino at `info` on stderr */
  logger?: Logger | undefined;
}

/** What is stored of a tenant. */
export interface TenantRecord {
  /** Name of its plan. */
  plan: string;
  /** Changes to the plan for this tenant, by role. */
  roles?: Record<string, RoleAllocationInput> | undefined;
  /** IANA time zone in which its months begin. @default "UTC" */
  timezone?: string | undefined;
}

export const tenantStoreOptionsSchema = z
  .strictObject({
    connection: z.custom<RedisConnectionInput>(
      (value) => typeof value === "object" && value !== null,
    ),
    plans: z.record(z.string(), planSchema),
    defaultPlan: z.string().optional(),
    prefix: z.string().min(1).default("q"),
    cacheMs: z.int().nonnegative().default(5_000),
    logger: z.custom<Logger>().optional(),
  })
  .refine(
    ({ plans, defaultPlan }) => defaultPlan === undefined || Object.hasOwn(plans, defaultPlan),
    {
      path: ["defaultPlan"],
      error: "must be one of plans",
    },
  );

export const tenantRecordSchema = z.strictObject({
  plan: z.string(),
  roles: z.record(z.string(), roleOverridesSchema).optional(),
  timezone: z
    .string()
    .refine(isTimeZone, "expected an IANA time zone such as Europe/Berlin")
    .optional(),
});

export type ResolvedTenantStoreOptions = z.output<typeof tenantStoreOptionsSchema>;

function isTimeZone(value: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: value }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}
