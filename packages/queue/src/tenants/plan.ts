import * as z from "zod";

/** What one tenant may do with the agents of one role; every field left out has its default. */
export interface RoleAllocationInput {
  /** @default true */
  isEnabled?: boolean | undefined;
  /** Tasks of the tenant that may run at once in this role. @default 1 */
  maxConcurrent?: number | undefined;
  /** Share among tenants that compete: weight 2 is served twice as often as 1. @default 1 */
  weight?: number | undefined;
  /** Tasks accepted per calendar month of the tenant's time zone. @default no limit */
  monthlyTaskLimit?: number | undefined;
  /** Tasks that may wait. @default no limit */
  maxStaged?: number | undefined;
  /** How fast tasks may start. @default no limit */
  rate?: { startsPerSecond: number; burst: number } | undefined;
  /** Model that the handler shall use for this tenant. */
  modelOverride?: string | undefined;
  /** Provider adapter that the handler shall use for this tenant. */
  adapterOverride?: string | undefined;
}

/** What a plan offers: an allocation for each role it includes; `"*"` stands for every other role. */
export interface PlanInput {
  roles: Record<string, RoleAllocationInput>;
}

const fields = {
  isEnabled: z.boolean(),
  maxConcurrent: z.int().nonnegative(),
  weight: z.number().positive().max(1_000),
  monthlyTaskLimit: z.int().nonnegative().optional(),
  maxStaged: z.int().positive().optional(),
  rate: z
    .strictObject({ startsPerSecond: z.number().positive(), burst: z.number().min(1) })
    .optional(),
  modelOverride: z.string().min(1).optional(),
  adapterOverride: z.string().min(1).optional(),
};

const roleAllocationSchema = z.strictObject({
  ...fields,
  isEnabled: fields.isEnabled.default(true),
  maxConcurrent: fields.maxConcurrent.default(1),
  weight: fields.weight.default(1),
});

/** What a tenant changes of its plan: no defaults, they would undo the plan. */
export const roleOverridesSchema = z.strictObject(fields).partial();

export const planSchema = z.strictObject({
  roles: z.record(z.string(), roleAllocationSchema),
});

/** {@link RoleAllocationInput} after defaults. */
export type RoleAllocation = z.output<typeof roleAllocationSchema>;
export type Plan = z.output<typeof planSchema>;

/** The allocation of a role under a plan with a tenant's own changes on top. */
export function allocate(
  plan: Plan,
  role: string,
  overrides: Partial<RoleAllocationInput> | undefined,
): RoleAllocation {
  const offered = plan.roles[role] ?? plan.roles["*"];
  const base = offered ?? { ...roleAllocationSchema.parse({}), isEnabled: false };
  return roleAllocationSchema.parse({ ...base, ...overrides });
}
