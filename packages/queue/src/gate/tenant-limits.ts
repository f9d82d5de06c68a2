import type { RoleAllocation } from "../tenants/plan.ts";

/** A tenant's limits as the gate stores them, under a version so that an older copy never wins. */
export interface TenantLimits {
  version: number;
  /** The limits as the scripts take them: JSON of a flat object. */
  json: string;
}

/** What the gate enforces of an allocation. Absent limits are sent as -1: a hash field cannot be unset. */
export function toTenantLimits(allocation: RoleAllocation, version: number): TenantLimits {
  const { rate } = allocation;
  return {
    version,
    json: JSON.stringify({
      cap: allocation.maxConcurrent,
      weight: allocation.weight,
      enabled: allocation.isEnabled ? 1 : 0,
      maxStaged: allocation.maxStaged ?? -1,
      quota: allocation.monthlyTaskLimit ?? -1,
      ratePerMs: rate ? rate.startsPerSecond / 1_000 : -1,
      rateBurst: rate?.burst ?? -1,
    }),
  };
}
