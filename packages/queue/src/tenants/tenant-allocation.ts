import { queueError } from "../errors.ts";
import { type TenantLimits, toTenantLimits } from "../gate/tenant-limits.ts";
import { allocate, type RoleAllocation } from "./plan.ts";
import type { ResolvedTenantStoreOptions, TenantRecord } from "./tenant-store-options.ts";

/** What a tenant may do in one role, with the version of the record it was read from. */
export interface TenantAllocation extends RoleAllocation {
  tenantId: string;
  role: string;
  plan: string;
  timezone: string;
  /** What the gate is told. */
  limits: TenantLimits;
}

/**
 * Works out what a tenant may do in a role.
 *
 * @throws {@link MillraceError} `QUEUE_TENANT_UNKNOWN` without a record and without a default plan.
 */
export function resolveAllocation(
  { plans, defaultPlan }: Pick<ResolvedTenantStoreOptions, "plans" | "defaultPlan">,
  { tenantId, role }: { tenantId: string; role: string },
  { record, version }: { record: TenantRecord | undefined; version: number },
): TenantAllocation {
  const planName = record?.plan ?? defaultPlan;
  if (planName === undefined) {
    throw queueError(
      "QUEUE_TENANT_UNKNOWN",
      `tenant ${tenantId} is not stored: call tenants.set first, or give createTenantStore a defaultPlan`,
      { details: { tenantId } },
    );
  }
  const plan = Object.hasOwn(plans, planName) ? plans[planName] : undefined;
  if (plan === undefined) throw unknownPlan(tenantId, planName);
  const allocation = allocate(plan, role, record?.roles?.[role]);
  return {
    ...allocation,
    tenantId,
    role,
    plan: planName,
    timezone: record?.timezone ?? "UTC",
    limits: toTenantLimits(allocation, version),
  };
}

/** The error for a plan that the store was not given. */
export function unknownPlan(tenantId: string, plan: string) {
  return queueError(
    "QUEUE_TENANT_UNKNOWN",
    `tenant ${tenantId} is on plan ${JSON.stringify(plan)}, which createTenantStore was not given: add it to plans, or set another with tenants.set`,
    { details: { tenantId, plan } },
  );
}
